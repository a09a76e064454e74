"""What was trusted on first use: one small JSON file a model beside the cached weights, written once and never guessed."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aihub.errors import ArtifactError
from aihub.types import ModelCard

logger = logging.getLogger(__name__)


class Pin(BaseModel):
    """Which file a model was when somebody first pulled it.

    Attributes:
        format: of this file.
        name: the model.
        version: that of its card then.
        uri: that of its card then; a card with another address or version is another file, and not pinned.
        origin: where the copy came from: the address itself, or the mirror.
        sha256: digest of the copy: from then on the file must have it.
        bytes: its size.
        at: when, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: str
    version: int
    uri: str
    origin: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    at: datetime

    def fits(self, card: ModelCard) -> bool:
        """Whether it is about the file that the card names."""
        return (self.name, self.version, self.uri) == (card.name, card.version, card.artifact.uri)


def again(name: str) -> str:
    """How to trust what is there now, on purpose."""
    return f"if the publisher changed it and you trust the new file: aihub models pull {name} --repin"


class Pins:
    """Pins of a folder. Thread-safe.

    A pin that was seen counts for as long as the process lives: a hub that serves goes on with the file it has, and says so in
    its evidence, when somebody pins anew beside it.

    Args:
        folder: where they lie; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, Pin] = {}
        self._lock = threading.Lock()

    def path(self, name: str) -> Path:
        """The file of a model's pin, whether it is there or not."""
        return self._folder / f"{name}.json"

    def find(self, card: ModelCard) -> Pin | None:
        """The pin of the file that the card names; None until it was pulled.

        Raises:
            ArtifactError: the pin cannot be read. It never counts as absent: that would trust anything anew.
        """
        with self._lock:
            pin = self._seen.get(card.name) or self._read(card.name)
            if pin is None or not pin.fits(card):
                return None
            self._seen[card.name] = pin
            return pin

    def _read(self, name: str) -> Pin | None:
        path = self.path(name)
        try:
            return Pin.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise ArtifactError(f"the pin {path} cannot be read", hint=again(name)) from error

    def keep(self, card: ModelCard, sha256: str, size: int, origin: str, *, anew: bool) -> Pin:
        """Write down which file a model is.

        Args:
            card: the model.
            sha256: digest of the file that was trusted.
            size: its bytes.
            origin: where it came from.
            anew: whether a pin that is there is replaced. Otherwise the first one stays, whoever wrote it.

        Raises:
            ArtifactError: it cannot be written, or another process has just pinned another file.
        """
        pin = Pin(
            name=card.name, version=card.version, uri=card.artifact.uri, origin=origin, sha256=sha256, bytes=size,
            at=datetime.now(UTC).replace(microsecond=0),
        )  # fmt: skip
        with self._lock:
            there = None if anew else self._read(card.name)
            if there is None or not there.fits(card):
                there = self._write(pin, instead=anew or there is not None)
            if there.sha256 != sha256:
                raise ArtifactError(
                    f"{origin} has sha256 {sha256}, but {there.sha256} was pinned on {there.at:%Y-%m-%d}",
                    hint=again(card.name),
                )
            self._seen[card.name] = there
            return there

    def _write(self, pin: Pin, *, instead: bool) -> Pin:
        path = self.path(pin.name)
        part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8") as file:
                file.write(pin.model_dump_json(indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if not instead and not _first(part, path):
                return self._read(pin.name) or pin
            if instead:
                part.replace(path)
        except OSError as error:
            raise ArtifactError(f"the pin {path} cannot be written: {error}") from error
        finally:
            with suppress(OSError):
                part.unlink()
        logger.info("pinned %s: sha256 %s, %d bytes, from %s", pin.name, pin.sha256, pin.bytes, pin.origin)
        return pin

    def drop(self, name: str) -> bool:
        """Forget a pin; whether there was one.

        Raises:
            ArtifactError: it cannot be removed.
        """
        with self._lock:
            self._seen.pop(name, None)
            try:
                self.path(name).unlink()
            except FileNotFoundError:
                return False
            except OSError as error:
                raise ArtifactError(f"the pin {self.path(name)} cannot be removed: {error}") from error
            return True


def _first(part: Path, path: Path) -> bool:
    """Put a file in place where none is: of two processes that pull at once, the first one pins."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:  # a disk without links: the last one would win in a race of some microseconds
        if path.exists():
            return False
        part.replace(path)
    return True
