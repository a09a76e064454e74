"""`aihub models import`: a graph of one's own becomes a model of the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import cv2
import typer
import yaml

from aihub.algorithms.drawing import draw
from aihub.cli.infer import read_frame
from aihub.cli.local import quiet_settings
from aihub.cli.output import JsonFlag, print_json, print_mapping, print_table, say
from aihub.engine.importing import Family, Trial, best_card, card_of, guess, read_ports, renamed
from aihub.errors import ConflictError, InputError
from aihub.plugins import users_folder
from aihub.serve.runtime import Runtime
from aihub.types import Detections, Frame, ModelCard, Task
from aihub.types.cards import NAME

TASKS = {"object-detection": Task.OBJECT_DETECTION, "image-classification": Task.IMAGE_CLASSIFICATION}
MAX_BYTES = 2 << 30


def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="The graph.")],
    labels: Annotated[
        str, typer.Option(metavar="A,B,...", help="Its labels in order, or a file with one a line.")
    ],
    license_id: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Licence of the weights, such as Apache-2.0.")
    ],
    task: Annotated[str, typer.Option(metavar="TASK", help=f"{' or '.join(TASKS)}.")] = "object-detection",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name.", show_default="that of the file")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A picture that shows what it finds, to try it on.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of its pictures, where the graph leaves it open.")
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="Decoder, where it cannot be told from the outputs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.jpg", help="Where to draw what it found on the picture.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Bring a graph of your own: what family it is is told from its outputs, and tried on a picture.

    aihub models import helmets.onnx --labels helmet,head --license MIT --picture site.jpg
    """
    chosen_task = TASKS.get(task)
    if chosen_task is None:
        raise InputError(f"no task {task!r} can be imported", field="task", hint=f"use {', '.join(TASKS)}")
    model, given, named = _model(file), _labels(labels), _name(name or file.stem)
    spec, shapes = read_ports(model, _size(size))
    families = guess(chosen_task, shapes, spec, len(given))
    if not families and decoder is None:
        told = ", ".join(f"{port} {list(shape)}" for port, shape in shapes.items())
        raise InputError(
            f"no decoder reads outputs {told} with {len(given)} labels", field="file",
            hint="check --labels, or name the --decoder and write its params into the card",
        )  # fmt: skip
    family = (
        families[0] if decoder is None else renamed(families[0] if families else Family(decoder, ""), decoder)
    )
    here = quiet_settings()
    usual = spec.model_validate(spec.model_dump() | family.usual | {"resize": family.resize})
    card = card_of(named, model, chosen_task, given, license_id, usual, family)
    trials: list[Trial] = []
    if picture is not None:
        card, trials = _tried(card, model, family, read_frame(picture, here), out)
    with Runtime(here, kind="cli") as runtime:
        if named in {known.name for known in runtime.store.cards()}:
            raise ConflictError(f"there is a model named {named!r}", field="name", hint="give --name")
        allowed = runtime.store.allowed(card)
    folder = users_folder(here.home, "models")
    _write(folder, card, model)
    _tell(card, family, trials, folder, allowed=allowed, json=json)


def _tried(
    card: ModelCard, model: bytes, family: Family, frame: Frame, out: Path | None
) -> tuple[ModelCard, list[Trial]]:
    """The card with the input that serves it, and what was tried; what it found is drawn."""
    card, trials = best_card(card, model, family, frame)
    if out is not None and isinstance(trials[0].found, Detections):
        cv2.imwrite(str(out), draw(frame.image, trials[0].found))
    return card, trials


def _model(file: Path) -> bytes:
    if not file.is_file():
        raise InputError(f"no such file: {file}", field="file")
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file} has more than {MAX_BYTES:,} bytes", field="file")
    return file.read_bytes()


def _labels(given: str) -> list[str]:
    listed = (
        Path(given).read_text(encoding="utf-8").splitlines() if Path(given).is_file() else given.split(",")
    )
    labels = [label.strip() for label in listed if label.strip()]
    if not labels or len(set(labels)) != len(labels):
        raise InputError(
            "labels are names, each once, separated by commas, or a file of them", field="labels"
        )
    return labels


def _name(stem: str) -> str:
    name = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.")
    if not re.fullmatch(NAME, name):
        raise InputError(f"{stem!r} makes no name", field="name", hint="small letters, digits and hyphens")
    return name


def _size(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    height, _, width = given.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise InputError("size is height x width, such as 640x640", field="size")
    return int(height), int(width)


def _write(folder: Path, card: ModelCard, model: bytes) -> None:
    """The file first, so that no card ever stands without it."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, content in ((".onnx", model), (".yaml", _yaml(card).encode())):
        place = folder / f"{card.name}{ending}"
        fresh = place.with_suffix(f"{ending}.new")
        fresh.write_bytes(content)
        fresh.replace(place)


def _yaml(card: ModelCard) -> str:
    body = card.model_dump(mode="json", exclude_defaults=True)
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)
    return text


def _tell(
    card: ModelCard, family: Family, trials: list[Trial], folder: Path, *, allowed: bool, json: bool
) -> None:
    if json:
        print_json({
            "card": card.model_dump(mode="json"), "file": str(folder / f"{card.name}.yaml"), "guessed": family.because,
            "tried": [{"input": trial.words(), "score": round(trial.score, 3)} for trial in trials], "allowed": allowed,
        })  # fmt: skip
        return
    assert card.input is not None  # noqa: S101 - imported models take pictures
    print_mapping({
        "model": card.name, "decoder": f"{card.decoder or 'none: scores are the result'} ({family.because})",
        "input": f"{card.input.size[0]} x {card.input.size[1]}, {Trial(card.input, {}, 0).words()}",
        "card": str(folder / f"{card.name}.yaml"),
    })  # fmt: skip
    if trials:
        say()
        print_table(
            ("INPUT TRIED", "SCORE", "FOUND"),
            ((trial.words(), f"{trial.score:.2f}", _found(trial)) for trial in trials[:5]),
            free=("FOUND",),
        )
    else:
        say(("not tried: ", "yellow"), "give --picture to have the form of its input found out")
    if not allowed:
        say(("licence ", "yellow"), f"{card.artifact.license} is not allowed here: set AIHUB_ALLOW_LICENSES")
    say(f"use it in a card: `{_stage(card)}`; `aihub algorithms new` makes one")


def _stage(card: ModelCard) -> str:
    """The stage that uses a model, as a card has it."""
    if card.decoder is not None or card.input is None:
        return f"- detect: {{model: {card.name}}}"
    size, labels = list(card.input.size), ", ".join(card.labels)
    return (
        f"- classify: {{model: {card.name}, port: {card.input.name}, size: {size}, resize: {card.input.resize}, "
        f"labels: [{labels}]}}"
    )


def _found(trial: Trial) -> str:
    if isinstance(trial.found, Detections):
        names = trial.found.names()
        return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) or "nothing"
    return ", ".join(f"{name} {score:.2f}" for name, score in trial.found.items())
