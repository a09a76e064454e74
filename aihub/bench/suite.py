"""A suite: a YAML under `benchmarks/` that says what is measured, with which settings, and which module measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aihub.bench.stand import Stand
from aihub.errors import InputError
from aihub.plugins import data_folder


class Options(BaseModel):
    """Settings of a suite; each suite's module has a subclass of its own, named `Settings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Title(BaseModel):
    """In two languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    en: str
    zh: str


class SuiteCard(BaseModel):
    """What a suite's YAML says.

    Attributes:
        name: as on the command line.
        measure: the module below `aihub.bench.suites` that measures it; the name, where none is given.
        about: what it answers, for people.
        hub: on which its short selection measures. "shared": the one that suites of a run share, so in a run of all they come
            last; "first": the same before anything was asked of it; none where it needs none, or each time another.
        minutes: about how long it takes on two cores, and how long its quick selection.
        settings: over the module's defaults.
        quick: over `settings`, for `--quick`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    measure: str = ""
    title: Title
    about: str
    hub: Literal["", "first", "shared"] = ""
    minutes: float = Field(gt=0)
    quick_minutes: float = Field(gt=0)
    settings: dict[str, Any] = Field(default_factory=dict)
    quick: dict[str, Any] = Field(default_factory=dict)


class Measuring(Protocol):
    """A module that measures: adds figures, curves and so on to the stand."""

    Settings: type[Options]

    def run(self, stand: Stand, settings: Any) -> None:
        """Measure."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite, ready to run.

    Attributes:
        card: its YAML.
        options: the class of its settings.
        measure: adds what it finds to the stand.
    """

    card: SuiteCard
    options: type[Options]
    measure: Callable[[Stand, Any], None]

    def settings(self, *, quick: bool = False, given: Mapping[str, Any] | None = None) -> Options:
        """Settings of a run.

        Args:
            quick: those of the quick selection.
            given: over all others, from the command line.

        Raises:
            InputError: one is unknown or of the wrong kind; names it and those that exist.
        """
        everything = {**self.card.settings, **(self.card.quick if quick else {}), **(given or {})}
        try:
            return self.options.model_validate(everything)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"{name}: {first['msg']}",
                field=name,
                hint=f"settings of {self.card.name}: {', '.join(self.options.model_fields)}",
            ) from None


def read(path: Path) -> Suite:
    """A suite from its file.

    Raises:
        InputError: the file is none; names the place.
    """
    try:
        card = SuiteCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"there is no {path}") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path} is no suite: {error}") from None
    module: Any = import_module(f"aihub.bench.suites.{(card.measure or card.name).replace('-', '_')}")
    return Suite(card, module.Settings, module.run)


def names() -> list[str]:
    """The suites that come with the hub."""
    return sorted(path.stem for path in data_folder("benchmarks").glob("*.yaml"))


def all_of_them() -> list[Suite]:
    """Every suite that comes with the hub, in the order in which a run of all measures them."""
    order = ("", "first", "shared")
    return sorted((find(name) for name in names()), key=lambda one: order.index(one.card.hub))


def find(name: str) -> Suite:
    """A suite by name, or by the path of a YAML of one's own.

    Raises:
        InputError: there is none; names those there are.
    """
    if name.endswith((".yaml", ".yml")):
        return read(Path(name))
    if name not in names():
        raise InputError(f"there is no suite {name!r}", field="suite", hint=f"suites: {', '.join(names())}")
    return read(data_folder("benchmarks") / f"{name}.yaml")


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """`k=v` from the command line; values are read as YAML: numbers, true, [a, b].

    Raises:
        InputError: one has no `=`.
    """
    parsed: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InputError(f"--set {one}: NAME=VALUE is expected", field="set")
        try:
            parsed[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {name}: {error}", field=name) from None
    return parsed
