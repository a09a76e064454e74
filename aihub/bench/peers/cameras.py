"""Cameras held by Roboflow's InferencePipeline and by the hub, in turns, under the same promise."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aihub.bench.results import least
from aihub.bench.stand import Stand
from aihub.bench.streams.border import find_border
from aihub.bench.streams.cameras_apart import cameras_apart
from aihub.bench.streams.clips import SHAPES, encoded_clip
from aihub.bench.streams.hub_streams import hub_streams
from aihub.bench.streams.watcher import Opens, Slo, Window, watch

HUB, PIPELINE = "hub", "InferencePipeline"
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of both.

    Attributes:
        clip: real footage below the test media.
        shape: of the cameras.
        fps: analysed frames a second of each.
        algorithm: the hub's, on the same model.
        most: cameras at most.
        tolerance: share of the border up to which it may be off.
        seconds: of a probe.
        settle_s: before a probe counts.
        turns: of each.
        analysed: least share of the asked frames.
        age_ms: 95 of 100 analysed frames are no older.
    """

    clip: str
    shape: str
    fps: float
    algorithm: str
    most: int
    tolerance: float
    seconds: float
    settle_s: float
    turns: int
    analysed: float
    age_ms: float


@dataclass(slots=True)
class _Search:
    """Borders of each, from turn to turn."""

    stand: Stand
    asked: Asked
    urls: Sequence[str]
    held: dict[str, list[float]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def slo(self) -> Slo:
        """What must hold."""
        return Slo(analysed=self.asked.analysed, age_ms=self.asked.age_ms)

    def run(self, who: str, opens: Opens) -> float:
        """Cost a camera: the inverse of what is held, so that a ratio of costs is one of cameras."""
        broken: dict[int, str] = {}

        def holds(count: int) -> bool:
            self.stand.say(f"{who}: {count} cameras of {self.asked.shape} at {self.asked.fps:g}/s")
            window = self._look(opens, count)
            if window.failing:  # an opening that went wrong says nothing of what is held: once more
                window = self._look(opens, count)
            broken[count] = window.broken(self.slo)
            return not broken[count]

        before = self.held.setdefault(who, [])
        start = max(1, round(before[-1])) if before else 2
        found = find_border(
            holds, start=min(start, self.asked.most), most=self.asked.most, tolerance=self.asked.tolerance
        )
        before.append(found.held)
        self.why[who] = "not tried, the search ends here" if found.broke is None else broken[found.broke]
        return 1 / max(1, found.held)

    def _look(self, opens: Opens, count: int) -> Window:
        asked = self.asked
        watcher = opens(self.urls[:count], asked.fps)
        try:
            return watch(watcher, fps=asked.fps, pictures=SHAPES[asked.shape].fps, seconds=asked.seconds,
                         settle_s=asked.settle_s, start_s=_START_S + 0.2 * count)  # fmt: skip
        finally:
            watcher.close()


def held(stand: Stand, asked: Asked, model: str, pipeline: Opens, version: str) -> None:
    """Add what both hold, and the ratio.

    Args:
        stand: takes the figures; its engine has the model.
        asked: of both.
        model: role or name of what is run.
        pipeline: opens the peer.
        version: of the peer's package.

    Raises:
        NotHereError: clip or encoder are missing, or the pipeline does not begin.
    """
    source, shape = stand.media(*asked.clip.split("/")), SHAPES[asked.shape]
    clip = encoded_clip(stand.folder, source, shape, seconds=asked.seconds + 2, key_every_s=1.0)
    stand.engine.warm([model])
    opens: dict[str, Opens] = {
        HUB: hub_streams(stand.engine, stand.registry, asked.algorithm),
        PIPELINE: pipeline,
    }
    with cameras_apart([clip], asked.most) as cameras:
        search = _Search(stand, asked, cameras.urls)

        def variant(who: str) -> Callable[[], float]:
            return lambda: search.run(who, opens[who])

        taken = stand.take_turns({who: variant(who) for who in opens}, asked.turns, warm_up=0)
    where = f"{asked.shape}, {asked.fps:g} analysed frames a second"
    for who, slug in ((HUB, "hub"), (PIPELINE, "inference-pipeline")):
        stand.add(
            f"cameras-held/{slug}/{asked.shape}/{asked.fps:g}fps", f"Cameras held by {who}, {where}",
            statistics.median(search.held[who]), unit="cameras", kind="count", samples=search.held[who],
            better="higher" if who == HUB else "neither", detail=f"one more breaks it: {search.why[who]}",
            labels={"who": who, "version": version if who == PIPELINE else "", "model": model, "shape": asked.shape},
        )  # fmt: skip
    stand.ratio(
        f"held-over-inference-pipeline/{asked.shape}/{asked.fps:g}fps", f"Cameras held, {where}: hub / InferencePipeline",
        taken, PIPELINE, HUB, better="higher",
        target=least(2.0, applies=asked.fps == 5 and model == "coco", condition="at 5 analysed frames a second with `coco`"),
        detail=f"hub {search.held[HUB]}, InferencePipeline {version} {search.held[PIPELINE]} cameras",
    )  # fmt: skip
