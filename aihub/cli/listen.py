"""`aihub infer` on recordings: read, listen, and say what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import HeardResult, hear
from aihub.algorithms.sound_files import READS, decode_sound, sniff
from aihub.cli.output import print_table, say
from aihub.errors import InputError, TooLargeError
from aihub.serve.audio.names import ready
from aihub.settings import Settings
from aihub.types import SAMPLE_RATE, InputKind, Predictor, Recording, Sound, SoundEvents


def listens(algorithm: Algorithm) -> bool:
    """Whether it takes recordings."""
    return InputKind.AUDIO in algorithm.card.input


def listen(
    algorithm: Algorithm, files: Sequence[Path], params: dict[str, Any], predictor: Predictor, here: Settings
) -> list[HeardResult]:
    """Run an algorithm on recordings, one after the other.

    Raises:
        InputError: a file is not there or cannot be read; names it.
        AihubError: what listening raised.
    """
    ready(algorithm)
    sounds = [_read(file, here) for file in files]
    return [hear(algorithm, one, params, predictor, timeout_s=here.sound_timeout_s) for one in sounds]


def _read(file: Path, here: Settings) -> Sound:
    if not file.is_file():
        raise InputError(f"no such file: {file}", field="files")
    if file.stat().st_size > here.max_sound_bytes:
        raise TooLargeError(f"{file}: a recording may have {here.max_sound_bytes:,} bytes", field="files")
    data = file.read_bytes()
    try:
        return Sound(decode_sound(data, max_seconds=here.max_sound_s), source=file.name)
    except InputError as error:
        # The hint is for whoever sends bytes to a hub; here somebody names files.
        hint = f"recordings are {READS}" if sniff(data) is None else error.hint
        raise type(error)(f"{file}: {error.message}", hint=hint, field="files") from error


def show_heard(result: HeardResult) -> None:
    """Print it for people."""
    if not len(result):
        say("  nothing heard")
    elif isinstance(result, SoundEvents):
        rows = result.to_json()["events"]
        print_table(
            ("  START s", "END s", "SCORE", "HEARD"),
            ((f"  {r['start']:.2f}", f"{r['end']:.2f}", f"{r['score']:.2f}", r["label"]) for r in rows),
            free=("HEARD",),
        )
    elif isinstance(result, Recording):
        say(f"  {len(result.samples) / SAMPLE_RATE:.2f} s of sound")
    else:
        print_table(
            ("  START s", "END s", "CONFIDENCE", "SAID"),
            (
                (f"  {one.start:.2f}", f"{one.end:.2f}", f"{one.confidence:.2f}", one.text)
                for one in result.segments
            ),
            free=("SAID",),
        )
