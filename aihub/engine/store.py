"""Model cards and their weights: found, checked against size and digest, cached, and gated by licence.

Where weights are looked for, in this order: the mirror, what comes with the card or an installed wheel, the cache, and
the internet only when a person allowed it (`allow_downloads`) or asked for it (`pull`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Self

from aihub.engine.download import AbsentError, fetch
from aihub.errors import ArtifactError, CardError, LicenseError, ModelNotFoundError, WeightsMissingError
from aihub.types import ModelCard, load_card

logger = logging.getLogger(__name__)

PERMISSIVE = frozenset(
    {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "ISC", "Unlicense"}
)
"""SPDX ids of licences of weights that are allowed without asking."""

SCHEMES = ("file", "https", "pkg", "bundled", "mirror")


class ModelStore:
    """All model cards and the way to their weights. Thread-safe.

    Args:
        cards: cards, each alone or with its file (or folder), which `bundled:` and relative `file:` start from.
        cache: folder for what was downloaded.
        mirror: folder or http(s) address that is asked first; empty for none.
        allow_licenses: SPDX ids allowed beyond `PERMISSIVE`.
        allow_downloads: whether `path` may go to the internet.

    Attributes:
        failures: cards that are broken, and why. They never stop the others.
    """

    def __init__(
        self,
        cards: Iterable[ModelCard | tuple[ModelCard, Path]],
        *,
        cache: Path,
        mirror: str = "",
        allow_licenses: Sequence[str] = (),
        allow_downloads: bool = False,
    ) -> None:
        self.failures: list[CardError] = []
        self._cache = cache
        self._mirror = mirror.rstrip("/")
        self._remote = mirror.startswith(("http://", "https://"))
        self._licenses = {name.casefold() for name in (*PERMISSIVE, *allow_licenses)}
        self._allow_downloads = allow_downloads
        self._cards: dict[str, tuple[ModelCard, Path]] = {}
        self._verified: dict[tuple[Path, int, int], str] = {}
        self._absent: set[str] = set()
        self._fetching: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        for entry in cards:
            card, where = entry if isinstance(entry, tuple) else (entry, Path())
            try:
                self._add(card, where)
            except CardError as error:
                self.failures.append(error)

    @classmethod
    def from_folder(cls, folder: Path, **options: Any) -> Self:
        """Every `*.yaml` below a folder; `options` are those of the class. Broken cards are in `failures`.

        Folders named `recipes` hold training code and are left out.
        """
        read: list[tuple[ModelCard, Path]] = []
        broken: list[CardError] = []
        for path in sorted(folder.rglob("*.yaml")):
            if "recipes" in path.relative_to(folder).parts:
                continue
            try:
                read.append((load_card(path, ModelCard), path))
            except CardError as error:
                logger.warning("model card left out: %s", error)
                broken.append(error)
        store = cls(read, **options)
        store.failures[:0] = broken
        return store

    def _add(self, card: ModelCard, where: Path) -> None:
        artifact, place = card.artifact, str(where) if where != Path() else card.name
        scheme, _, rest = artifact.uri.partition(":")
        if scheme not in SCHEMES:
            raise CardError(
                f"artifact.uri starts with one of {SCHEMES}, but is {artifact.uri!r}",
                where=place,
                field="artifact.uri",
            )
        if scheme == "pkg" and not rest.partition("/")[2]:
            raise CardError(
                f"artifact.uri is pkg:PACKAGE/PATH, not {artifact.uri!r}", where=place, field="artifact.uri"
            )
        inside = [artifact.mirror, rest if scheme in ("bundled", "pkg", "mirror") else None]
        for path in inside:
            if path is not None and not _stays_inside(path):
                raise CardError(f"artifact path {path!r} leaves its folder", where=place, field="artifact")
        if card.name in self._cards:
            raise CardError(f"model {card.name!r} has a card already", where=place, field="name")
        self._cards[card.name] = (card, where if where.is_dir() else where.parent)

    def cards(self) -> list[ModelCard]:
        """All cards, by name."""
        return [self._cards[name][0] for name in sorted(self._cards)]

    def resolve(self, name_or_role: str) -> ModelCard:
        """The card of that name; else the best-ranked one of that role whose weights are here, else the best-ranked.

        Raises:
            ModelNotFoundError: neither a name nor a role; suggests the nearest.
        """
        if name_or_role in self._cards:
            return self._cards[name_or_role][0]
        able = sorted(
            (card for card in self.cards() if name_or_role in card.roles), key=lambda card: card.rank
        )
        if not able:
            known = {*self._cards, *(role for card in self.cards() for role in card.roles)}
            raise ModelNotFoundError(name_or_role, sorted(known))
        return next(filter(self.available, able), able[0])

    def allowed(self, card: ModelCard) -> bool:
        """Whether the licence of the weights is permissive or allowed by setting."""
        return card.artifact.license.casefold() in self._licenses

    def available(self, card: ModelCard) -> bool:
        """Whether the weights can be used without the internet: cheap, looks at sizes only.

        A mirror that is an address counts as having what the card says it has, until it answered that it has not.
        """
        if not self.allowed(card):
            return False
        if any(_has(path, card) for path in self._places(card)):
            return True
        return self._remote and self._on_mirror(card) not in ("", *self._absent)

    def path(self, card: ModelCard) -> Path:
        """The verified file.

        Raises:
            LicenseError: the licence is not allowed here.
            WeightsMissingError: it is nowhere here, and the internet was not allowed.
            ArtifactError: it is here, but not what the card says.
        """
        return self._obtain(card, internet=self._allow_downloads, progress=None)

    def pull(self, name: str, progress: Callable[[int, int], None] | None = None) -> Path:
        """Bring the weights of a model here, from the internet if need be; `progress` gets bytes done and in all.

        Raises:
            ModelNotFoundError, LicenseError, WeightsMissingError, ArtifactError: see `resolve` and `path`.
        """
        return self._obtain(self.resolve(name), internet=True, progress=progress)

    def verify(self, name: str) -> str:
        """Read the weights again and return their sha256.

        Raises:
            ModelNotFoundError, LicenseError, WeightsMissingError: see `resolve` and `path`.
            ArtifactError: the file is not what the card says.
        """
        card = self.resolve(name)
        with self._lock:
            self._verified.clear()
        self.path(card)
        return card.artifact.sha256

    def _obtain(
        self, card: ModelCard, *, internet: bool, progress: Callable[[int, int], None] | None
    ) -> Path:
        if not self.allowed(card):
            raise LicenseError(
                f"the weights of {card.name} are under {card.artifact.license}",
                hint=f"if you may use them: AIHUB_ALLOW_LICENSES='[\"{card.artifact.license}\"]'",
            )
        wrong: ArtifactError | None = None
        cached = self._cached(card)
        # What has the right digest is the right file wherever it lies: an address is asked only when none is here.
        for path in self._places(card):
            try:
                if path.is_file():
                    return self._verify(path, card)
            except ArtifactError as error:
                logger.warning("%s", error)
                wrong = wrong or error
                if path == cached:
                    path.unlink(missing_ok=True)
        for url in self._addresses(card, internet=internet):
            try:
                path = self._download(url, card, progress)
            except AbsentError:
                with self._lock:
                    self._absent.add(url)
            except ArtifactError as error:
                wrong = error
            else:
                with self._lock:
                    self._absent.discard(url)
                return path
        if wrong is not None:
            raise wrong
        raise WeightsMissingError(f"the weights of {card.name} are not here", hint=self._remedy(card))

    def _remedy(self, card: ModelCard) -> str:
        if card.artifact.uri.startswith("https:"):
            return f"aihub models pull {card.name}, or set AIHUB_MODEL_MIRROR"
        if card.artifact.uri.startswith("pkg:"):
            package = card.artifact.uri.removeprefix("pkg:").partition("/")[0].partition(".")[0]
            return f"pip install {package}, or set AIHUB_MODEL_MIRROR"
        return "set AIHUB_MODEL_MIRROR to a folder or address that has them"

    def _places(self, card: ModelCard) -> Iterator[Path]:
        """Files that may hold the weights, in order."""
        artifact, folder = card.artifact, self._cards.get(card.name, (card, Path()))[1]
        on_mirror = self._on_mirror(card)
        if on_mirror and not self._remote:
            yield Path(on_mirror).expanduser()
        scheme, _, rest = artifact.uri.partition(":")
        if scheme == "bundled":
            yield folder / rest
        elif scheme == "file":
            yield folder / Path(rest).expanduser()
        elif scheme == "pkg":
            inside = _in_wheel(rest)
            if inside is not None:
                yield inside
        yield self._cached(card)

    def _addresses(self, card: ModelCard, *, internet: bool) -> Iterator[str]:
        on_mirror = self._on_mirror(card)
        if on_mirror and self._remote:
            yield on_mirror
        if internet and card.artifact.uri.startswith("https:"):
            yield card.artifact.uri

    def _on_mirror(self, card: ModelCard) -> str:
        scheme, _, rest = card.artifact.uri.partition(":")
        path = card.artifact.mirror or (rest if scheme == "mirror" else "")
        return f"{self._mirror}/{path}" if self._mirror and path else ""

    def _cached(self, card: ModelCard) -> Path:
        return self._cache / f"{card.name}-{card.artifact.sha256[:16]}.onnx"

    def _verify(self, path: Path, card: ModelCard) -> Path:
        """The path, if size and digest are right; a file that has not changed is read once."""
        expected = card.artifact
        try:
            found = path.stat()
            if found.st_size != expected.bytes:
                raise ArtifactError(f"{path} has {found.st_size} bytes, but {expected.bytes} were expected")
            key = (path, found.st_size, found.st_mtime_ns)
            digest = self._verified.get(key)
            if digest is None:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                with self._lock:
                    self._verified[key] = digest
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error}") from error
        if digest != expected.sha256:
            raise ArtifactError(f"{path} has sha256 {digest}, but {expected.sha256} was expected")
        return path

    def _download(self, url: str, card: ModelCard, progress: Callable[[int, int], None] | None) -> Path:
        with self._lock:
            turn = self._fetching.setdefault(card.name, threading.Lock())
        if not turn.acquire(timeout=3600):
            raise ArtifactError(f"another thread has been fetching {card.name} for an hour")
        try:
            target = self._cached(card)
            if not _has(target, card):
                fetch(url, target, size=card.artifact.bytes, sha256=card.artifact.sha256, progress=progress)
            return self._verify(target, card)
        finally:
            turn.release()


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def _has(path: Path, card: ModelCard) -> bool:
    try:
        return path.stat().st_size == card.artifact.bytes
    except OSError:
        return False


def _in_wheel(address: str) -> Path | None:
    """`PACKAGE/PATH` -> the file of an installed package, which is not imported; None when it is not installed."""
    package, _, inside = address.partition("/")
    top, *below = package.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*below, inside)
