"""Model cards and their weights: found, checked against size and digest, cached, and gated by licence.

Where weights are looked for, in this order: the mirror, what comes with the card or an installed wheel, the cache, and
the internet only when a person allowed it (`allow_downloads`) or asked for it (`pull`).

Which file is right is said by the card, or, where that says `trust: first-use`, by the pin that the first `pull` wrote.
Nothing but `pull` pins: until then such a model has no weights here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from aihub.engine.download import AbsentError, Progress, Wanted, fetch
from aihub.engine.pins import Pin, Pins
from aihub.engine.weights import (
    Expected,
    Verifier,
    Weights,
    cached,
    check_of,
    in_wheel,
    joined,
    most_bytes,
    remove_cached,
    size_of,
    stays_inside,
)
from aihub.errors import (
    ArtifactError,
    CardError,
    InputError,
    LicenseError,
    ModelError,
    ModelNotFoundError,
    WeightsMissingError,
)
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
        self._verifier = Verifier()
        self._absent: set[str] = set()
        self._fetching: dict[str, threading.Lock] = {}
        self._pins = Pins(cache / "pins")
        self._lock = threading.Lock()
        for entry in cards:
            card, where = entry if isinstance(entry, tuple) else (entry, Path())
            try:
                self._add(card, where)
            except CardError as error:
                self.failures.append(error)

    @classmethod
    def from_folder(cls, *folders: Path, **options: Any) -> Self:
        """Every `*.yaml` below some folders; `options` are those of the class. Broken cards are in `failures`.

        Folders named `recipes` hold training code and are left out.
        """
        read: list[tuple[ModelCard, Path]] = []
        broken: list[CardError] = []
        for path in (path for folder in folders for path in sorted(folder.rglob("*.yaml"))):
            if "recipes" in path.parts:
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
            if path is not None and not stays_inside(path):
                raise CardError(f"artifact path {path!r} leaves its folder", where=place, field="artifact")
        if card.name in self._cards:
            raise CardError(f"model {card.name!r} has a card already", where=place, field="name")
        self._cards[card.name] = (card, where if where.is_dir() else where.parent)

    def cards(self) -> list[ModelCard]:
        """All cards, by name."""
        return [self._cards[name][0] for name in sorted(self._cards)]

    def resolve(self, name_or_role: str) -> ModelCard:
        """The card of that name; else the best-ranked one of that role whose weights are here, else the best to bring.

        Upgrades are brought by their own names only.

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
        first = next((card for card in able if not card.upgrade), able[0])
        return next(filter(self.available, able), first)

    def allowed(self, card: ModelCard) -> bool:
        """Whether the licence of the weights is permissive or allowed by setting."""
        return card.artifact.license.casefold() in self._licenses

    def available(self, card: ModelCard) -> bool:
        """Whether the weights can be used without the internet: cheap, looks at sizes only.

        A mirror that is an address counts as having what the card says it has, until it answered that it has not; for an
        upgrade somebody has to ask it first.
        """
        if not self.allowed(card):
            return False
        try:
            expected = self._expected(card)
        except ArtifactError:
            return False
        if expected is None:
            return False
        if any(expected.may_be(path) for path in self._places(card, expected)):
            return True
        return self._remote and not card.upgrade and self._on_mirror(card) not in ("", *self._absent)

    def pin(self, card: ModelCard) -> Pin | None:
        """What was trusted on first use; None where nothing was, or nothing needs to be.

        Raises:
            ArtifactError: it cannot be read.
        """
        return None if card.artifact.sha256 is not None else self._pins.find(card)

    def digest(self, card: ModelCard) -> str | None:
        """The sha256 that counts: of the card, else of the pin; None until somebody pulled it.

        Raises:
            ArtifactError: the pin cannot be read.
        """
        expected = self._expected(card)
        return None if expected is None else expected.sha256

    def path(self, card: ModelCard) -> Path:
        """The verified file; see `weights`."""
        return self.weights(card).path

    def weights(self, card: ModelCard) -> Weights:
        """The verified file and its digest.

        Raises:
            LicenseError: the licence is not allowed here.
            WeightsMissingError: it is nowhere here, and the internet was not allowed; or nobody has pulled what is trusted on
                first use.
            ArtifactError: it is here, but not what the card or the pin says.
        """
        return self._obtain(card, internet=self._allow_downloads, progress=None)

    def pull(self, name: str, progress: Progress | None = None, *, repin: bool = False) -> Path:
        """Bring the weights of a model here, from the internet if need be, and pin what is trusted on first use.

        Args:
            name: name or role.
            progress: gets bytes done and in all.
            repin: trust what is there now, instead of what was pinned. The file of the old pin stays where it is.

        Raises:
            InputError: the card states the digest, so nothing is pinned.
            ModelNotFoundError, LicenseError, WeightsMissingError, ArtifactError: see `resolve` and `weights`.
        """
        card = self.resolve(name)
        if card.artifact.sha256 is not None:
            if repin:
                raise InputError(
                    f"the digest of {card.name} is in its card: nothing is pinned", field="repin"
                )
        elif repin or self._pins.find(card) is None:
            self._check_license(card)
            with self._turn(card):
                if repin or self._pins.find(card) is None:
                    self._first_use(card, progress, anew=repin)
        return self._obtain(card, internet=True, progress=progress).path

    def drop(self, name: str) -> list[Path]:
        """Remove what was brought here of a model: cached files and the pin. What lies elsewhere stays. Returns what went.

        Raises:
            ModelNotFoundError: neither a name nor a role.
            ArtifactError: something cannot be removed.
        """
        card = self.resolve(name)
        gone = [self._pins.path(card.name)] if self._pins.drop(card.name) else []
        return gone + remove_cached(self._cache, card.name)

    def verify(self, name: str) -> str:
        """Read the weights again and return their sha256.

        Raises:
            ModelNotFoundError, LicenseError, WeightsMissingError: see `resolve` and `path`.
            ArtifactError: the file is not what the card or the pin says.
        """
        card = self.resolve(name)
        self._verifier.forget()
        return self.weights(card).sha256

    def _check_license(self, card: ModelCard) -> None:
        if not self.allowed(card):
            raise LicenseError(
                f"the weights of {card.name} are under {card.artifact.license}",
                hint=f"if you may use them: AIHUB_ALLOW_LICENSES='[\"{card.artifact.license}\"]'",
            )

    def _expected(self, card: ModelCard) -> Expected | None:
        return Expected.of(card, self.pin(card))

    def _obtain(self, card: ModelCard, *, internet: bool, progress: Progress | None) -> Weights:
        self._check_license(card)
        expected = self._expected(card)
        if expected is None:
            problem = f"the weights of {card.name} are not here: nobody has pulled them yet"
            raise WeightsMissingError(problem, hint=self._remedy(card))
        wrong: ArtifactError | None = None
        ours = self._cached(card, expected.sha256)
        # What has the right digest is the right file wherever it lies: an address is asked only when none is here.
        for path in self._places(card, expected):
            try:
                if path.is_file():
                    return self._verifier.verify(path, card, expected)
            except ArtifactError as error:
                logger.warning("%s", error)
                wrong = wrong or error
                if path == ours:
                    path.unlink(missing_ok=True)
        for url in self._addresses(card, internet=internet):
            try:
                found = self._download(url, card, expected, progress)
            except AbsentError:
                with self._lock:
                    self._absent.add(url)
            except ArtifactError as error:
                wrong = error if wrong is None else joined(wrong, error)
            else:
                with self._lock:
                    self._absent.discard(url)
                return found
        if wrong is not None:
            raise wrong
        raise WeightsMissingError(f"the weights of {card.name} are not here", hint=self._remedy(card))

    def _remedy(self, card: ModelCard) -> str:
        if card.artifact.sha256 is None:
            return f"aihub models pull {card.name}: its first copy is trusted and pinned, which a hub never does by itself"
        if card.artifact.uri.startswith("https:"):
            return f"aihub models pull {card.name}, or set AIHUB_MODEL_MIRROR"
        if card.artifact.uri.startswith("pkg:"):
            package = card.artifact.uri.removeprefix("pkg:").partition("/")[0].partition(".")[0]
            return f"pip install {package}, or set AIHUB_MODEL_MIRROR"
        return "set AIHUB_MODEL_MIRROR to a folder or address that has them"

    def _places(self, card: ModelCard, expected: Expected) -> Iterator[Path]:
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
            inside = in_wheel(rest)
            if inside is not None:
                yield inside
        yield self._cached(card, expected.sha256)

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

    def _cached(self, card: ModelCard, sha256: str) -> Path:
        return cached(self._cache, card.name, sha256)

    @contextmanager
    def _turn(self, card: ModelCard) -> Iterator[None]:
        """One at a time fetches a model."""
        with self._lock:
            turn = self._fetching.setdefault(card.name, threading.Lock())
        if not turn.acquire(timeout=3600):
            raise ArtifactError(f"another thread has been fetching {card.name} for an hour")
        try:
            yield
        finally:
            turn.release()

    def _download(self, url: str, card: ModelCard, expected: Expected, progress: Progress | None) -> Weights:
        target = self._cached(card, expected.sha256)
        # Where a pin counts, a file of another size is read whole: the error then tells its digest.
        size = expected.size if expected.pin is None else None
        wanted = Wanted(expected.most, size, expected.sha256)
        with self._turn(card):
            if not expected.may_be(target):
                try:
                    fetch(url, lambda _: target, wanted, part=target, progress=progress)
                except AbsentError:
                    raise
                except ArtifactError as error:
                    raise ArtifactError(error.message, hint=expected.hint(card.name)) from error
            return self._verifier.verify(target, card, expected)

    def _first_use(self, card: ModelCard, progress: Progress | None, *, anew: bool) -> None:
        """Trust the first copy there is: the mirror's, else the publisher's. The file is in place before it is pinned."""
        check = check_of(card)
        size, most, on_mirror = card.artifact.bytes, most_bytes(card), self._on_mirror(card)
        if on_mirror and not self._remote and (path := Path(on_mirror).expanduser()).is_file():
            if not Expected("", size, most).may_be(path):
                raise ArtifactError(f"{path} has {size_of(path)} bytes, but its card allows {size or most}")
            check(path)
            self._pins.keep(card, self._verifier.digest(path), size_of(path), str(path), anew=anew)
            return
        wanted, part = Wanted(most, size, check=check), self._cache / f"{card.name}.onnx"
        wrong: ModelError = WeightsMissingError(
            f"the weights of {card.name} are nowhere", hint=f"they were published as {card.artifact.source}"
        )
        for url in self._addresses(card, internet=True):
            try:
                came = fetch(url, partial(self._cached, card), wanted, part=part, progress=progress)
            except AbsentError:
                continue
            except ArtifactError as error:
                wrong = error
            else:
                self._pins.keep(card, came.sha256, came.bytes, url, anew=anew)
                return
        raise wrong
