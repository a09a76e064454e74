"""What the capacity planner adds up, measured here and remembered in the hub's home for `aihub plan` and `POST /v1/plan`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.costing import Costing, documented
from aihub.bench.suite import Options
from aihub.capacity.costs import FILE, Costs, remember
from aihub.settings import Settings as HubSettings
from aihub.types.capacity import megapixels

DRAWN = ("drawn:yard@1920x1080,25fps", "drawn:yard@640x360,25fps")


class Settings(Options):
    """Settings of this suite.

    Attributes:
        clips: what the cameras play: files in H.264 or H.265, or drawn scenes; two sizes at least, the largest first.
            Those of your own cameras give costs that hold for them.
        algorithms: to measure; others cannot be planned with, unless they are made of the same stages.
        seconds: of each run.
        streams: at once.
        fps: analysed frames a second of each, where an algorithm is measured; near to what is planned for.
        into: file to write the costs to; empty for the hub's home.
    """

    clips: tuple[str, ...] = Field(DRAWN, min_length=1, max_length=8)
    algorithms: tuple[str, ...] = Field(
        ("person-detection", "fire-smoke-detection", "intrusion"), min_length=1, max_length=256
    )
    seconds: float = Field(8.0, ge=1, le=120)
    streams: int = Field(2, ge=1, le=64)
    fps: float = Field(4.0, ge=0.5, le=25)
    into: str = ""


def run(stand: Stand, settings: Settings) -> None:
    """Measure, tell, remember; also for the suite `planner`, should it come later in the same run."""
    costs = measure(stand, settings)
    remember(costs, stand.folder / FILE)
    remember(costs, Path(settings.into) if settings.into else HubSettings().home / FILE)
    _tell(stand, costs)


def measure(stand: Stand, settings: Settings) -> Costs:
    """Measure everything.

    Raises:
        NotHereError: no algorithm can run here.
    """
    costing = Costing(
        stand, settings.clips, seconds=settings.seconds, streams=settings.streams, fps=settings.fps
    )
    base = costing.baseline()
    measured = costing.algorithms(settings.algorithms, base)
    if not measured:
        raise NotHereError("none of the algorithms can run here")
    return documented(stand, costing, base, measured)


def _tell(stand: Stand, costs: Costs) -> None:
    for decode in costs.decode:
        for resolution in ("1080p", "360p"):
            ms = decode.ms.at(megapixels(resolution))
            stand.add(f"decode/{decode.codec}/{decode.mode}/{resolution}", f"CPU of a picture that is sent: {resolution} {decode.codec}, {decode.mode}",
                      ms, unit="ms", kind="time", better="lower", detail=decode.footage)  # fmt: skip
    for resolution in ("1080p", "360p"):
        stand.add(f"sample/{resolution}", f"CPU of taking a picture out: {resolution}", costs.sample_ms.at(megapixels(resolution)),
                  unit="ms", kind="time", better="lower")  # fmt: skip
    stand.add("stream", "CPU of a stream beside its pictures", costs.stream_ms_s, unit="ms/s", kind="time", better="lower")  # fmt: skip
    done: set[str] = set()
    for name, work in costs.algorithms.items():
        alone = sum(costs.pieces[key].cpu_ms(megapixels("1080p")) for key in work.pieces)
        added = sum(costs.pieces[key].cpu_ms(megapixels("1080p")) for key in work.pieces if key not in done)
        done.update(work.pieces)
        stand.add(f"algorithm/{name}/alone", f"CPU of a 1080p frame: {name} alone", alone, unit="ms", kind="time", better="lower")  # fmt: skip
        stand.add(f"algorithm/{name}/added", f"CPU of a 1080p frame: {name} beside those before it", added, unit="ms", kind="time", better="lower")  # fmt: skip
    memory = costs.memory
    stand.add("memory/process", "Memory of a stream host without streams and models", memory.process_mb, unit="MB", kind="memory", better="lower")  # fmt: skip
    stand.add("memory/stream/1080p", "Memory of a 1080p stream", memory.stream_mb.at(megapixels("1080p")), unit="MB", kind="memory", better="lower")  # fmt: skip
    for model, mb in memory.models_mb.items():
        stand.add(f"memory/model/{model}", f"Memory of the model {model}", mb, unit="MB", kind="memory", better="lower")  # fmt: skip
