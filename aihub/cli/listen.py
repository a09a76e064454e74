"""`aihub infer` on recordings: read, listen, and say what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import HeardResult, gives, hear
from aihub.algorithms.sound_files import READS, decode_sound, sniff
from aihub.cli.local import output_folder
from aihub.cli.output import print_table, say
from aihub.errors import InputError, TooLargeError
from aihub.serve.audio.names import ready
from aihub.settings import Settings
from aihub.types import SAMPLE_RATE, InputKind, Predictor, Recording, Sound, SoundEvents, Task, Transcript


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
        _figures(result)
    elif isinstance(result, SoundEvents):
        rows = result.to_json()["events"]
        print_table(
            ("  START s", "END s", "SCORE", "HEARD"),
            ((f"  {r['start']:.2f}", f"{r['end']:.2f}", f"{r['score']:.2f}", r["label"]) for r in rows),
            free=("HEARD",),
        )
        _figures(result)
    elif isinstance(result, Recording):
        say(f"  {len(result.samples) / SAMPLE_RATE:.2f} s of sound")
        _figures(result)
    else:
        print_table(
            ("  START s", "END s", "CONFIDENCE", "SAID"),
            (
                (f"  {one.start:.2f}", f"{one.end:.2f}", f"{one.confidence:.2f}", one.text)
                for one in result.segments
            ),
            free=("SAID",),
        )


def _figures(result: HeardResult) -> None:
    if not isinstance(result, Transcript):
        for name, value in result.measures.items():
            say(f"  {name}: {value:g}")


def sound_folder(algorithm: Algorithm, out: Path | None) -> Path | None:
    """Where made sound is written; None where nobody asked for files.

    Raises:
        InputError: the algorithm makes no sound, or the folder cannot be made.
    """
    if out is None:
        return None
    if gives(algorithm) is not Task.SOUND:
        raise InputError(
            "only sound that was made can be written, and this algorithm makes none", field="out"
        )
    return output_folder(out)


def write_recording(path: Path, result: HeardResult) -> Path:
    """Write made sound as a WAV file.

    Raises:
        InputError: the file cannot be written.
    """
    assert isinstance(result, Recording)  # noqa: S101 - `sound_folder` let nothing else through
    try:
        path.write_bytes(result.encoded())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", field="out") from error
    return path
