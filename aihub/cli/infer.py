"""`aihub infer`: one algorithm on files, in this process, without a hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import typer

from aihub.algorithms.drawing import draw
from aihub.algorithms.inference import infer as run_inference
from aihub.cli.listen import listen, listens, sound_folder, write_recording
from aihub.cli.local import output_folder, quiet_settings
from aihub.cli.output import JsonFlag, print_json, say
from aihub.cli.reading import read_files, reads
from aihub.cli.results import show
from aihub.cli.values import parse_params
from aihub.errors import ImageDecodeError, InputError, UnsupportedTypeError
from aihub.serve.pictures import decode_picture
from aihub.serve.runtime import Runtime
from aihub.settings import Settings
from aihub.types import AnyResult, Frame

app = typer.Typer(add_completion=False)


@app.command()
def infer(
    algorithm: Annotated[
        str, typer.Argument(metavar="ALGORITHM", help="Id of an algorithm (see `aihub algorithms list`).")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Pictures (JPEG, PNG, WebP, BMP), recordings (WAV, FLAC, OGG, MP3), texts (one a file, - for standard input) or "
            "series (CSV: values, or times and values).",
        ),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter; JSON or plain text. Repeat."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to draw the results on the pictures, or to write the sound that was made.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run one algorithm on pictures, recordings, texts or series, here, without a hub.

    With --json: one object for one file, a list of them for several.
    """
    here = quiet_settings()
    params = parse_params(param)
    with Runtime(here, kind="cli") as runtime:
        chosen = runtime.registry.get(algorithm)
        if listens(chosen):
            place = sound_folder(chosen, out)
            heard = listen(chosen, files, params, runtime.predictor, here)
            written = [
                None if place is None else write_recording(place / f"{name}.{algorithm}.wav", one)
                for name, one in zip(_names(files), heard, strict=True)
            ]
            _print(files, heard, written, json=json, word="written")
            return
        if reads(chosen):
            if out:
                raise InputError("only results of pictures can be drawn", field="out")
            found = read_files(chosen, files, params, runtime.predictor, here)
            _print(files, found, [None] * len(files), json=json)
            return
        frames = [read_frame(file, here) for file in files]
        for model in chosen.models():
            runtime.store.path(
                runtime.store.resolve(model)
            )  # what is missing is told of once, with its remedy
        folder = output_folder(out) if out else None
        results = run_inference(chosen, frames, params, runtime.predictor, timeout_s=here.infer_timeout_s)
    drawn = [
        None if folder is None else _draw(folder / f"{name}.{algorithm}.jpg", frame, result)
        for name, frame, result in zip(_names(files), frames, results, strict=True)
    ]
    _print(files, results, drawn, json=json)


def _print(
    files: Sequence[Path],
    results: Sequence[AnyResult],
    made: Sequence[Path | None],
    *,
    json: bool,
    word: str = "drawn",
) -> None:
    if json:
        rows = [
            {"file": str(file), **result.to_json(), **({word: str(other)} if other else {})}
            for file, result, other in zip(files, results, made, strict=True)
        ]
        print_json(rows if len(rows) > 1 else rows[0])
        return
    for file, result, other in zip(files, results, made, strict=True):
        say((str(file), "bold"))
        show(result)
        if other:
            say(f"  {word}: {other}")


def read_frame(file: Path, here: Settings) -> Frame:
    """A picture from disk.

    Raises:
        InputError: it is not there or cannot be read; names it.
    """
    if not file.is_file():
        raise InputError(f"no such file: {file}", field="files")
    try:
        return decode_picture(
            file.read_bytes(),
            max_bytes=here.max_image_bytes,
            max_pixels=here.max_image_pixels,
            source=file.name,
        )
    except InputError as error:
        # The hints are for whoever sends bytes to a hub; here somebody names files.
        unread = isinstance(error, ImageDecodeError | UnsupportedTypeError)
        hint = "pictures are JPEG, PNG, WebP or BMP" if unread else error.hint
        raise type(error)(f"{file}: {error.message}", hint=hint, field="files") from error


def _names(files: list[Path]) -> list[str]:
    """Names without endings, numbered where two files share one."""
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [f"{i}-{stem}" for i, stem in enumerate(stems, 1)]


def _draw(path: Path, frame: Frame, result: AnyResult) -> Path:
    if not cv2.imwrite(str(path), draw(frame.image, result)):
        raise InputError(f"{path} cannot be written", field="out")
    return path
