"""Files of weights: which one is right, whether this is it, and where an installed wheel keeps its own."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from aihub.engine.graph import custom_metadata
from aihub.engine.pins import Pin, again
from aihub.errors import ArtifactError, SessionError
from aihub.types import MAX_WEIGHTS_BYTES, ModelCard


class Weights(NamedTuple):
    """A file that is what it must be, and the digest that says so."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Expected:
    """Which file is right.

    Attributes:
        sha256: its digest.
        size: its bytes, None where nobody said.
        most: bytes it may have.
        pin: what says so, where the card leaves it to the first use.
    """

    sha256: str
    size: int | None
    most: int
    pin: Pin | None = None

    @classmethod
    def of(cls, card: ModelCard, pin: Pin | None) -> Expected | None:
        """From the card, else from the pin; None where neither says."""
        if card.artifact.sha256 is not None:
            return cls(card.artifact.sha256, card.artifact.bytes, most_bytes(card))
        return None if pin is None else cls(pin.sha256, pin.bytes, most_bytes(card), pin)

    def may_be(self, path: Path) -> bool:
        """Whether the file is there and has the right size: cheap."""
        try:
            size = path.stat().st_size
        except OSError:
            return False
        return size == self.size if self.size is not None else 0 < size <= self.most

    def hint(self, name: str) -> str | None:
        """What to do about another file."""
        return None if self.pin is None else again(name)


def most_bytes(card: ModelCard) -> int:
    """Bytes that the card allows its file."""
    return card.artifact.bytes or card.artifact.max_bytes or MAX_WEIGHTS_BYTES


class Verifier:
    """Digests of files; one that has not changed is read once. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Read everything again."""
        with self._lock:
            self._known.clear()

    def verify(self, path: Path, card: ModelCard, expected: Expected) -> Weights:
        """The file, if size and digest are right.

        Raises:
            ArtifactError: they are not, or it cannot be read.
        """
        # A pin is about a digest, so both are told also where the size alone says that it is another file.
        if expected.pin is None and not expected.may_be(path):
            wanted = expected.size if expected.size is not None else f"1 to {expected.most}"
            raise ArtifactError(f"{path} has {size_of(path)} bytes, but {wanted} were expected")
        digest = self.digest(path)
        if digest != expected.sha256:
            was = "was expected" if expected.pin is None else f"was pinned on {expected.pin.at:%Y-%m-%d}"
            raise ArtifactError(
                f"{path} has sha256 {digest}, but {expected.sha256} {was}", hint=expected.hint(card.name)
            )
        return Weights(path, digest)

    def digest(self, path: Path) -> str:
        """The sha256 of a file.

        Raises:
            ArtifactError: it cannot be read.
        """
        try:
            found = path.stat()
            key = (path, found.st_size, found.st_mtime_ns)
            digest = self._known.get(key)
            if digest is None:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                with self._lock:
                    self._known[key] = digest
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error}") from error
        return digest


def joined(here: ArtifactError, there: ArtifactError) -> ArtifactError:
    """What is wrong with the file that is here, and why no other could be fetched."""
    return ArtifactError(f"{here.message}; {there.message}", hint=here.hint or there.hint)


def check_graph(path: Path) -> None:
    """What is no ONNX graph is never pinned: an address may answer with a page, or with a pointer to the file.

    Raises:
        ArtifactError: it is none.
    """
    try:
        custom_metadata(path.read_bytes())
    except (SessionError, OSError) as error:
        raise ArtifactError(f"what came is not trusted: {error}") from error


def is_text(card: ModelCard) -> bool:
    """Whether its file is a text that belongs to a graph, such as the words of a speech recogniser: its address ends in `.txt`."""
    return card.artifact.uri.endswith(".txt")


def text_of(data: bytes) -> str:
    """The content of such a file.

    Raises:
        ArtifactError: it is no text, or one that a server or Git put in its place.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ArtifactError(f"not a text: {error}") from error
    if not text.strip() or text.lstrip().lower().startswith(
        ("<!doctype", "<html", "version https://git-lfs")
    ):
        raise ArtifactError("not the text, but a page or a pointer in its place")
    return text


def check_text(path: Path) -> None:
    """The same for texts as `check_graph` for graphs.

    Raises:
        ArtifactError: it is none.
    """
    try:
        text_of(path.read_bytes())
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"what came is not trusted: {error}") from error


def check_of(card: ModelCard) -> Callable[[Path], None]:
    """What a first copy of its file is held to."""
    return check_text if is_text(card) else check_graph


def size_of(path: Path) -> int:
    """Bytes of a file.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


def cached(folder: Path, name: str, sha256: str) -> Path:
    """Where a brought file of that digest belongs."""
    return folder / f"{name}-{sha256[:16]}.onnx"


def remove_cached(folder: Path, name: str) -> list[Path]:
    """Remove the brought files of a model, and of no other whose name begins alike; returns them.

    Raises:
        ArtifactError: one cannot be removed.
    """
    ours = re.compile(re.escape(name) + r"-[0-9a-f]{16}\.onnx")
    try:
        gone = [path for path in sorted(folder.glob(f"{name}-*.onnx")) if ours.fullmatch(path.name)]
        for path in gone:
            path.unlink()
    except OSError as error:
        raise ArtifactError(f"weights of {name} cannot be removed: {error}") from error
    return gone


def stays_inside(path: str) -> bool:
    """Whether a path of a card stays in the folder it starts from."""
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def in_wheel(address: str) -> Path | None:
    """`PACKAGE/PATH` -> the file of an installed package, which is not imported; None when it is not installed."""
    package, _, inside = address.partition("/")
    top, *below = package.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*below, inside)
