"""What a suite has measured: figures, curves, histograms, and the machine they hold for. One JSON file a run.

`benchmarks/result.schema.json` is the schema of that file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aihub.errors import InputError

Better = Literal["higher", "lower", "neither"]
Kind = Literal["ratio", "time", "rate", "accuracy", "memory", "count"]
"""What a figure is, which says how two of them are compared:

- `ratio`: of two things taken in turns in one run; the machine's pace cancels.
- `time`, `rate`: absolute; compared on the same machine only, and by its pace.
- `accuracy`: in 0..1; compared by difference, whatever the machine.
- `memory`, `count`: compared on the same machine only.
"""
Number = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """Frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Record):
    """What a figure is to reach: `at` least or at most `value`, where the condition holds."""

    at: Literal["least", "most"]
    value: Number
    applies: bool = True
    condition: str = ""

    def met(self, value: float) -> bool | None:
        """Whether a value reaches it; None where it does not apply."""
        if not self.applies:
            return None
        return value >= self.value if self.at == "least" else value <= self.value

    def __str__(self) -> str:
        sign = ">=" if self.at == "least" else "<="
        return f"{sign} {self.value:g}" + (f" {self.condition}" if self.condition else "")


def least(value: float, *, applies: bool = True, condition: str = "") -> Target:
    """A target to reach."""
    return Target(at="least", value=value, applies=applies, condition=condition)


def most(value: float, *, applies: bool = True, condition: str = "") -> Target:
    """A target not to pass."""
    return Target(at="most", value=value, applies=applies, condition=condition)


class Figure(Record):
    """One measured figure.

    Attributes:
        name: what it is told apart by within its suite, stable from release to release: `engine-over-best/yolox-nano`.
        title: for people.
        value: the median, where `samples` holds more than one.
        unit: "x" for ratios.
        kind: how it is compared.
        better: which way is better; figures that are neither are never a regression.
        samples: one a turn, in order.
        interval: 95 % of the value, where samples allow one.
        against: what it is a ratio to.
        detail: the numbers behind it.
        labels: what it was measured on (model, backend, batch, ...).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.+-]*(/[a-z0-9_.+-]+)*$")
    title: str
    value: Number
    unit: str = "x"
    kind: Kind = "ratio"
    better: Better = "higher"
    samples: tuple[Number, ...] = ()
    interval: tuple[Number, Number] | None = None
    target: Target | None = None
    against: str = ""
    detail: str = ""
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether its target is reached; None without one."""
        return None if self.target is None else self.target.met(self.value)


class Curve(Record):
    """Lines over a common x: throughput against concurrency, cost against algorithms."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, tuple[tuple[Number, Number], ...]]
    log_x: bool = False


class Histogram(Record):
    """How often what was measured: `counts[i]` lie in `edges[i]..edges[i+1]`."""

    name: str
    title: str
    unit: str = "ms"
    edges: tuple[Number, ...]
    counts: dict[str, tuple[int, ...]]


class Stack(Record):
    """What one unit of work is made of: parts of each bar, in one unit."""

    name: str
    title: str
    unit: str = "ms"
    bars: dict[str, dict[str, Number]]


class Machine(Record):
    """What the figures hold for.

    Attributes:
        fingerprint: changes when processor, cores or runtimes do; absolute figures compare within one only.
        pace_ms: a fixed piece of work, median over the run; absolute figures are compared in units of it.
        load_before: 1-minute load average when the run began, a core.
    """

    fingerprint: str
    processor: str
    flags: tuple[str, ...] = ()
    cores: int
    memory_gb: Number
    gpus: tuple[str, ...] = ()
    system: str = ""
    python: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    pace_ms: Number = 0.0
    pace_spread: Number = 0.0
    load_before: Number = 0.0
    load_after: Number = 0.0


class Result(Record):
    """A run of a suite."""

    schema_version: Literal[1] = 1
    suite: str
    title: str
    command: str
    begun_at: datetime
    seconds: Number
    seed: int
    quick: bool = False
    settings: dict[str, object] = Field(default_factory=dict)
    machine: Machine
    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    stacks: tuple[Stack, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
    failure: str = ""

    def figure(self, name: str) -> Figure:
        """A figure by name.

        Raises:
            KeyError: there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


def save(result: Result, folder: Path) -> Path:
    """Write a result below `folder`, under the suite and the time it began; a file is never half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.suite}-{result.begun_at:%Y%m%dT%H%M%S}.json"
    part = path.with_suffix(".part")
    part.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def load(path: Path) -> Result:
    """Read a result.

    Raises:
        InputError: the file is none; names it and the first thing that is wrong.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no {path}", hint="name a result that `aihub bench run` wrote") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is no result of a suite: {where}: {first['msg']}", field=where) from None


def load_all(folder: Path) -> list[Result]:
    """All results in a folder and below it, oldest first.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    found = sorted((load(path) for path in _files(folder)), key=lambda result: result.begun_at)
    if not found:
        raise InputError(f"no results in {folder}", hint="run a suite first: aihub bench run SUITE --out DIR")
    return found


def latest(results: Sequence[Result]) -> list[Result]:
    """The newest result of each suite, by name of the suite."""
    newest = {result.suite: result for result in sorted(results, key=lambda result: result.begun_at)}
    return [newest[name] for name in sorted(newest)]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*-*T*.json") if path.is_file())


def histogram(
    name: str, title: str, samples: dict[str, list[float]], *, unit: str = "ms", bins: int = 40
) -> Histogram:
    """Samples of one or more things over common edges, evenly wide in the logarithm: tails stay visible."""
    every = [value for values in samples.values() for value in values if value > 0]
    if not every:
        return Histogram(name=name, title=title, unit=unit, edges=(), counts={})
    low, high = math.log(min(every)), math.log(max(every) * 1.0001)
    step = max((high - low) / bins, 1e-9)
    edges = tuple(math.exp(low + step * index) for index in range(bins + 1))
    counts = {}
    for what, values in samples.items():
        row = [0] * bins
        for value in values:
            if value > 0:
                row[min(bins - 1, int((math.log(value) - low) / step))] += 1
        counts[what] = tuple(row)
    return Histogram(name=name, title=title, unit=unit, edges=edges, counts=counts)
