"""The targets by name. Each is a module that is imported when it is asked for, so that the fuzzer can instrument it first."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NAMES = (
    "algorithm_card",
    "camera_session",
    "forms",
    "grpc_request",
    "labelled_pictures",
    "model_card",
    "mp4_index",
    "oip_body",
    "payloads",
    "pictures",
    "rtp",
    "simulator_request",
    "sound",
    "zip_pictures",
)
FINDINGS = Path(__file__).with_name("seeds")
"""A folder for each target, with inputs that once broke it."""


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder of bytes from outside.

    Attributes:
        name: one of `NAMES`.
        check: holds the law to one input; True when it was read, False when it was refused. Raises where the law is broken.
        sound: inputs that are read, made in code.
        words: pieces that a random input hardly ever has by itself.
        longest: bytes of an input, at most.
    """

    name: str
    check: Callable[[bytes], bool]
    sound: tuple[bytes, ...]
    words: tuple[bytes, ...]
    longest: int

    def findings(self) -> list[bytes]:
        """What once broke it."""
        return [path.read_bytes() for path in sorted((FINDINGS / self.name).glob("*"))]


def load(name: str) -> Target:
    """A target.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in NAMES:
        raise KeyError(name)
    module = importlib.import_module(f"tests.fuzz.{name}")
    return Target(name, module.check, tuple(module.seeds()), module.WORDS, module.LONGEST)
