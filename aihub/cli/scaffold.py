"""`aihub algorithms new`: the files that a new algorithm begins with, complete and passing their own test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from aihub.cli.output import JsonFlag, print_json, say
from aihub.errors import ConflictError, InputError
from aihub.types.cards import NAME

CARD = """\
id: {id}
version: 1
title: {{en: {title}, zh: {title_zh}}}
summary: Something of the chosen kind stands in the zone.
domain: {domain}
input: [image, video]
params:
  zone: {{type: polygon, default: [[0, 0], [1, 0], [1, 1], [0, 1]], description: "Where it counts; the whole picture by default."}}
  confidence: {{type: number, default: 0.4, minimum: 0.1, maximum: 1, description: "Least confidence on a frame."}}
stages:
  - detect: {{model: {model}}}
  - select: {{labels: [{labels}]}}
  - track: {{}}
  - filter: {{confidence: $confidence}}
  - zone-presence: {{zone: $zone, inertia: 3}}
event: {{type: {id}, severity: warning, close_after: 5, cooldown: 60}}
examples:
  # One that finds it, and one where nothing may be found. `media` is a file below AIHUB_TEST_MEDIA, or `drawn:NAME`.
  # This drawn one shows {shown}: put your own picture or clip in its place.
  - {{media: "drawn:{drawing}", seconds: 6, expect: {{events: ">=1"}}, evidence: synthetic}}
  - {{media: "drawn:still-street", seconds: 3, expect: {{none: true}}, evidence: synthetic}}
intended_use: Say here where it is to be used, and who looks at its alarms.
limits: Say here honestly what it misses and what it takes for something else.
"""

CODE_CARD = """\
id: {id}
version: 1
title: {{en: {title}, zh: {title_zh}}}
summary: The picture is as dark as its stage was told to look for.
domain: {domain}
input: [image, video]
params:
  limit: {{type: number, default: 30, minimum: 0, maximum: 255, unit: grey levels, description: "Mean below which the picture is dark."}}
  dwell: {{type: number, default: 3, minimum: 0, maximum: 86400, unit: s, description: "How long it must last."}}
stages:
  - {id}: {{limit: $limit}}
  - quality-alarm: {{dwell: $dwell, label: {id}}}
event: {{type: {id}, severity: warning, close_after: 5, cooldown: 60}}
examples:
  - {{media: "drawn:black-after-3s", seconds: 8, params: {{dwell: 2}}, expect: {{fault: true, events: 1}}, evidence: synthetic}}
  - {{media: "drawn:still-street", seconds: 3, expect: {{fault: false, none: true}}, evidence: synthetic}}
intended_use: Say here where it is to be used, and who looks at its alarms.
limits: Say here honestly what it misses and what it takes for something else.
"""

STAGE = '''\
"""Stage `{id}`: put your own look at a picture here."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.types import AnyResult, Frame, Quality


class {cls}Params(StageParams):
    """What can be set."""

    limit: float = Field(30.0, ge=0, le=255, description="Mean below which the picture is dark, grey levels.")


class {cls}(Stage[{cls}Params]):
    """A verdict: whether the mean of the picture is below the limit."""

    name = "{id}"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        """See the class."""
        mean = float(frame.image[::4, ::4].mean())
        fault = mean < self.params.limit
        far = min(1.0, abs(mean - self.params.limit) / 64)
        return Quality(fault, 0.5 + far / 2 if fault else 0.49 * (1 - far), {{"mean": mean}})
'''

TEST = '''\
"""The proof of {id}: schema, contract, laws, wire and the examples of its card."""

from pathlib import Path

{imports}
CARD = {path}

def test_{name}() -> None:
    report = check_algorithm(CARD{predictor})
    assert report.passed
'''

PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{project}"
version = "0.1.0"
description = "{title}: an algorithm for aihub."
requires-python = ">=3.11"
dependencies = ["aihub"]

# Where the hub finds what is in here: modules with stages, and packages with folders `pipelines` and `models`.
[project.entry-points."aihub.algorithms"]
{name} = "{package}.stage"

[project.entry-points."aihub.cards"]
{name} = "{package}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

README = """\
# {title}

An algorithm for aihub in a package of its own: `pip install .` beside the hub, and `aihub algorithms list` has it.

- `{package}/pipelines/{domain}/{id}.yaml`: the card
- `{package}/stage.py`: its own stage
- `tests/test_{name}.py`: its proof, `python -m pytest`
"""


def new(
    algorithm: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the new algorithm, such as truck-at-dock.")
    ],
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="Where it belongs, such as traffic.")] = "own",
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Title.", show_default="from the id")
    ] = None,
    title_zh: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Chinese title.", show_default="that in English")
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="Detector, by name or role.")] = "coco",
    labels: Annotated[str, typer.Option(metavar="A,B,...", help="What it looks for.")] = "person",
    code: Annotated[
        bool, typer.Option("--code", help="With a stage of its own, as a package to install.")
    ] = False,
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to put it.")] = Path(),
    json: JsonFlag = False,
) -> None:
    """Write the files that a new algorithm begins with: a card, its test, and with --code a stage in a package.

    aihub algorithms new truck-at-dock --domain traffic --labels truck
    """
    for name, value in (("algorithm", algorithm), ("domain", domain)):
        if not re.fullmatch(NAME, value) or len(value) > 64:
            raise InputError(f"{value!r} is no id", field=name, hint="small letters, digits and hyphens")
    words = title or algorithm.replace("-", " ").capitalize()
    values = {
        "id": algorithm, "domain": domain, "title": words, "title_zh": title_zh or words, "model": model,
        "labels": ", ".join(label.strip() for label in labels.split(",")), "name": re.sub(r"\W", "_", algorithm),
        "cls": "".join(part.capitalize() for part in re.split(r"\W", algorithm)), "project": f"aihub-{algorithm}",
    }  # fmt: skip
    drawing, shown = (
        ("parked-car", "a car") if values["labels"].startswith("car") else ("visitor", "a person")
    )
    values |= {"drawing": drawing, "shown": shown}
    values["package"] = f"aihub_{values['name']}"
    files = _package(values) if code else _card(values)
    taken = [folder / name for name in files if (folder / name).exists()]
    if taken:
        raise ConflictError(f"{taken[0]} is there already", field="folder")
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    if json:
        print_json({"id": algorithm, "files": [str(folder / name) for name in files]})
        return
    for name in files:
        say(("written ", "green"), str(folder / name))
    _next_steps(values, folder, code=code)


def _next_steps(values: dict[str, str], folder: Path, *, code: bool) -> None:
    if code:
        say(f"pip install -e {folder / values['project']}, then: aihub algorithms check {values['id']}")
    else:
        say(f"prove it: aihub algorithms check --file {folder / (values['id'] + '.yaml')}")
        say(f"give it to a running hub: aihub algorithms add {folder / (values['id'] + '.yaml')}")


def _card(values: dict[str, str]) -> dict[str, str]:
    test = TEST.format(
        **values,
        imports="from aihub.testing import FakePredictor, boxes, check_algorithm\n",
        path=f'Path(__file__).with_name("{values["id"]}.yaml")',
        predictor=f', FakePredictor({{"{values["model"]}": _seen}})',
    )
    seen = f'''

def _seen(frame):
    """What the detector says of the drawn examples: somebody is there, but for the empty street."""
    row = ("{values["labels"].split(", ")[0]}", 0.9, (200, 100, 300, 340))
    return boxes(labels=[row[0]]) if "still-street" in frame.source else boxes(row)
'''
    head, _, tail = test.partition("\n\ndef ")
    return {
        f"{values['id']}.yaml": CARD.format(**values),
        f"test_{values['name']}.py": f"{head}\n{seen}\n\ndef {tail}",
    }


def _package(values: dict[str, str]) -> dict[str, str]:
    root, package = values["project"], values["package"]
    test = TEST.format(
        **values,
        imports=f"import {package}.stage  # noqa: F401 - registers the stage, installed or not\nfrom aihub.testing import check_algorithm\n",
        path=f'Path({package}.stage.__file__).parent / "pipelines/{values["domain"]}/{values["id"]}.yaml"',
        predictor="",
    )
    return {
        f"{root}/pyproject.toml": PROJECT.format(**values),
        f"{root}/README.md": README.format(**values),
        f"{root}/{package}/__init__.py": f'"""{values["title"]}, for aihub."""\n',
        f"{root}/{package}/stage.py": STAGE.format(**values),
        f"{root}/{package}/pipelines/{values['domain']}/{values['id']}.yaml": CODE_CARD.format(**values),
        f"{root}/tests/test_{values['name']}.py": test,
    }
