"""Does the capacity planner predict what mixes cost that it has never seen? CPU seconds, predicted over measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydantic import BaseModel, ConfigDict, Field

from aihub.bench.results import most
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.cameras_apart import cameras_apart
from aihub.bench.streams.hosting import Hosted, Taken, Watched, hosted
from aihub.bench.suites import costs as costs_suite
from aihub.capacity.costs import FILE, Costs, load
from aihub.capacity.load import load_of
from aihub.engine.machine import cores
from aihub.types.capacity import StreamGroup

TOLERATED = 0.15
HELD = 0.9
"""A mix of which fewer frames were analysed than this share was more than the machine had left; it is not counted."""
_RESOLUTIONS = {1080: "1080p", 720: "720p", 360: "360p"}


class Part(BaseModel):
    """Streams of a mix that are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    clip: str
    streams: int = Field(1, ge=1, le=64)
    algorithms: tuple[str, ...] = Field(min_length=1, max_length=64)
    fps: float = Field(gt=0, le=25)


LARGE, SMALL = costs_suite.DRAWN
MIXES = {
    "two-algorithms": (Part(clip=SMALL, streams=2, algorithms=("person-detection", "intrusion"), fps=3),),
    "two-models": (Part(clip=LARGE, algorithms=("fire-smoke-detection", "person-detection"), fps=3),),
    "two-sizes": (
        Part(clip=LARGE, algorithms=("intrusion",), fps=2),
        Part(clip=SMALL, streams=2, algorithms=("fire-smoke-detection",), fps=2),
    ),
    "seldom": (Part(clip=SMALL, streams=4, algorithms=("person-detection", "fire-smoke-detection", "intrusion"), fps=1),),
}  # fmt: skip


class Settings(costs_suite.Settings):
    """Those of the suite `costs`, for the measuring of single algorithms, and the mixes.

    Attributes:
        mixes: by name; what each stream of them costs must follow from what was measured alone.
        turns: times each mix is measured.
        load: share of the cores up to which a mix is repeated; 0 takes it once. Machines that are planned for are busy, and
            on an idle one each frame costs more: its caches are cold.
    """

    mixes: dict[str, tuple[Part, ...]] = MIXES
    turns: int = Field(3, ge=1, le=20)
    load: float = Field(0.6, ge=0, le=0.9)


def run(stand: Stand, settings: Settings) -> None:
    """Take the costs of single algorithms, measure the mixes, and set prediction against measurement."""
    measured = _costs(stand, settings)
    for name, mix in settings.mixes.items():
        with stand.part(f"mix {name}"):
            _mix(stand, settings, measured, name, mix)


def _costs(stand: Stand, settings: Settings) -> Costs:
    """What the suite `costs` found earlier in the same run, else measured now."""
    earlier = stand.folder / FILE
    if earlier.exists():
        costs = load(earlier)
        if {*settings.algorithms} <= {*costs.algorithms}:
            return costs
    return costs_suite.measure(stand, settings)


def _mix(stand: Stand, settings: Settings, costs: Costs, name: str, mix: tuple[Part, ...]) -> None:
    unmeasured = sorted({one for part in mix for one in part.algorithms} - set(costs.algorithms))
    if unmeasured:
        raise NotHereError(f"not measured alone: {', '.join(unmeasured)}")
    errors, detail, copies = [], "", 1
    if settings.load:
        with _running(stand, mix, 1) as (running, _, _):
            copies = max(1, int(settings.load * cores() / running.take(settings.seconds / 2).cores))
    with _running(stand, mix, copies) as (running, watched, parts):
        for _ in range(settings.turns):
            stand.pace.take()
            taken = running.take(settings.seconds)
            held = sum(taken.analysed) / taken.seconds / sum(one.fps for one in watched)
            if held < HELD:
                raise NotHereError(f"only {held:.0%} of the frames were analysed: the machine is too busy")
            predicted = predicted_cores(costs, parts, taken)
            errors.append(abs(predicted / taken.cores - 1))
            detail = f"predicted {predicted:.3f} cores, measured {taken.cores:.3f}; {len(watched)} streams"
    middle = sorted(errors)[len(errors) // 2]
    stand.add(f"error/{name}", f"Prediction against measurement: {name}", middle, unit="share", kind="accuracy",
              better="lower", target=most(TOLERATED), samples=errors, detail=detail)  # fmt: skip


@contextmanager
def _running(
    stand: Stand, mix: tuple[Part, ...], copies: int
) -> Iterator[tuple[Hosted, list[Watched], list[Part]]]:
    """A mix, so many times, with what each of its streams is."""
    with ExitStack() as opened:
        watched: list[Watched] = []
        parts: list[Part] = []
        for part in mix:
            urls = opened.enter_context(cameras_apart([part.clip], copies * part.streams)).urls
            watched += [Watched(url, part.algorithms, part.fps) for url in urls]
            parts += [part] * len(urls)
        yield opened.enter_context(hosted(stand.engine, stand.registry, watched)), watched, parts


def predicted_cores(costs: Costs, parts: list[Part], taken: Taken) -> float:
    """Cores that the planner says streams keep busy, at the rates that their cameras and the host really had.

    Raises:
        NotHereError: a clip has a size that is not planned with.
        ParamsError: something was not measured.
    """
    total = 0.0
    for part, read, analysed, (_, height), codec in zip(
        parts, taken.read, taken.analysed, taken.size, taken.codec, strict=True
    ):
        if height not in _RESOLUTIONS:
            raise NotHereError(f"clips of {height} rows are not planned with")
        group = StreamGroup.model_validate({
            "streams": 1, "algorithms": part.algorithms, "fps": max(analysed / taken.seconds, 0.01),
            "source_fps": max(read / taken.seconds, 0.01), "resolution": _RESOLUTIONS[height], "codec": codec.lower(),
        })  # fmt: skip
        total += load_of(group, costs).cores
    return total
