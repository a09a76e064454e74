"""How many cameras one machine holds, what a frame costs, and where that goes.

Cameras are simulated by a process of its own over real RTSP: its CPU is not counted, but it works on the same cores, so a
machine whose cameras are elsewhere holds more. The hub's side is a stream host as a deployment runs it (see
`aihub.bench.streams.hub_streams`), in this process and tuned first; beside it, in turns, the plain loop of `aihub.bench.streams.plain_loop`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
from pydantic import Field

from aihub.bench.results import Stack, Target, least, most
from aihub.bench.runtimes.bare import bare_session
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.border import Border, find_border
from aihub.bench.streams.cameras_apart import CamerasApart, cameras_apart
from aihub.bench.streams.clips import SHAPES, Shape, encoded_clip
from aihub.bench.streams.hub_streams import STAGES, StageCosts, hub_streams
from aihub.bench.streams.plain_loop import best_detector, plain_loop
from aihub.bench.streams.watcher import Opens, Slo, Window, watch
from aihub.bench.suite import Options
from aihub.engine.machine import cores
from aihub.engine.preprocess import prepare
from aihub.types import Frame

ShapeName = Literal["1080p25", "360p25"]
Mode = Literal["full", "key-frames"]
_START_S = 20.0
_PROBE_FPS = 20.0
_NONE = 0.01
"""Who holds not one camera is taken to hold this many, so that a ratio shows it."""


class Settings(Options):
    """Settings of `streams`.

    Attributes:
        clip: real footage below the test media; enlarged, coarsened and encoded as cameras send it.
        algorithm: that watches each camera.
        model: role or name of what it runs; tuned first.
        shapes: of the cameras.
        fps: analysed frames a second of each camera; each gives a figure a shape and mode.
        modes: `full` decodes every picture; `key-frames` only those that need no other, for `key_frame_fps` and less.
        key_frame_algorithm: watches the cameras there, in both modes: one that needs no more, as those that key frames are for.
        key_frame_fps: most analysed frames a second for which key frames are tried, one of `fps`.
        key_every_s: seconds from key frame to key frame.
        clip_s: length of the clip, which repeats.
        most: cameras at most.
        tolerance: share of the border up to which it may be off.
        seconds: of a probe; at least six asked frames.
        settle_s: before a probe counts.
        analysed: least share of the asked frames.
        age_ms: 95 of 100 analysed frames are no older.
        read: least share of the pictures that is decoded.
        peer_fps: analysed frames a second at which the plain loop is set beside the hub; 0 leaves it out.
        peer_shapes: where.
        turns: of hub and plain loop.
        tune_s: for tuning the model; 0 leaves its profile as it is.
        path_turns: of stream path and bare loop; 0 leaves them out.
        path_s: of each.
        stage_cameras: for the cost of stages; 0 leaves them out.
        stage_fps: analysed frames a second for that; stage_s: for each bar.
    """

    clip: str = "video/one-by-one-person-detection.mp4"
    algorithm: str = "intrusion"
    model: str = "coco"
    shapes: tuple[ShapeName, ...] = ("1080p25", "360p25")
    fps: tuple[float, ...] = (1.0, 5.0, 25.0)
    modes: tuple[Mode, ...] = ("full", "key-frames")
    key_frame_algorithm: str = "black-screen"
    key_frame_fps: float = Field(1.0, gt=0, le=60)
    key_every_s: float = Field(1.0, ge=0.2, le=10)
    clip_s: float = Field(10.0, ge=1, le=120)
    most: int = Field(256, ge=1, le=1024)
    tolerance: float = Field(0.05, ge=0, le=0.5)
    seconds: float = Field(6.0, ge=0.5, le=600)
    settle_s: float = Field(2.0, ge=0, le=60)
    analysed: float = Field(0.95, gt=0, le=1)
    age_ms: float = Field(250.0, gt=0, le=10_000)
    read: float = Field(0.95, gt=0, le=1)
    peer_fps: float = Field(5.0, ge=0, le=60)
    peer_shapes: tuple[ShapeName, ...] = ("1080p25", "360p25")
    turns: int = Field(3, ge=1, le=20)
    tune_s: float = Field(10.0, ge=0, le=300)
    path_turns: int = Field(5, ge=0, le=50)
    path_s: float = Field(12.0, ge=1, le=300)
    stage_cameras: int = Field(4, ge=0, le=256)
    stage_fps: tuple[float, ...] = (1.0, 5.0, 25.0)
    stage_s: float = Field(8.0, ge=1, le=300)

    @property
    def slo(self) -> Slo:
        """What must hold."""
        return Slo(analysed=self.analysed, age_ms=self.age_ms, read=self.read)


def run(stand: Stand, settings: Settings) -> None:
    """Measure; see the module."""
    source = stand.media(*settings.clip.split("/"))
    stand.say(f"tuning {settings.model}")
    if settings.tune_s:
        tuned(stand.engine, settings.model, settings.tune_s)
    stand.engine.warm([settings.model])
    if settings.path_turns:
        with stand.part("cost of an analysed frame"), cameras_apart([source], 1, fps=_PROBE_FPS) as cameras:
            _path(stand, settings, cameras.urls[0])
    for name in settings.shapes:
        with stand.part(f"cameras of {name}"):
            shape = SHAPES[name]
            clip = encoded_clip(
                stand.folder, source, shape, seconds=settings.clip_s, key_every_s=settings.key_every_s
            )
            with cameras_apart([clip], settings.most) as cameras:
                _held(stand, settings, _Field(stand, settings, shape, cameras))


# What a frame costs.


def _path(stand: Stand, settings: Settings, url: str) -> None:
    taken = stand.take_turns(
        {
            "bare decode + bare session": lambda: _bare_loop(stand, settings, url),
            "stream path": lambda: _stream_path(stand, settings, url),
        },
        settings.path_turns,
        warm_up=0 if stand.quick else 1,
    )
    hub, bare = taken.median("stream path"), taken.median("bare decode + bare session")
    stand.ratio(
        "path-over-bare", "CPU of an analysed frame: stream path / (bare decode + bare best session)",
        taken, "stream path", "bare decode + bare session", target=most(1.15),
        detail=f"bare {bare * 1e3:.2f} ms, hub {hub * 1e3:.2f} ms; turns {taken.spread('stream path', 'bare decode + bare session')}",
    )  # fmt: skip
    stand.add("cpu-a-frame", "CPU of an analysed frame on the stream path", hub * 1e3, unit="ms", kind="time",
              better="lower", samples=[cost * 1e3 for cost in taken.costs["stream path"]])  # fmt: skip


def _bare_loop(stand: Stand, settings: Settings, url: str) -> float:
    """Read, letterbox, run; nothing else. CPU seconds a frame."""
    card, session = bare_session(stand.engine, settings.model)
    spec = card.input
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if spec is None or not capture.read()[0]:
            raise NotHereError(f"the bare loop cannot look at {url} with {card.name}")
        frames, begun, until = 0, time.process_time(), time.monotonic() + settings.path_s
        while time.monotonic() < until:
            found, image = capture.read()
            if not found:
                raise NotHereError(f"the bare loop lost {url}")
            picture, _ = prepare(Frame(image), spec)  # type: ignore[arg-type]  # OpenCV gives uint8
            session.run({spec.name: picture[None]})
            frames += 1
        return (time.process_time() - begun) / max(1, frames)
    finally:
        capture.release()
        session.close()


def _stream_path(stand: Stand, settings: Settings, url: str) -> float:
    """The same camera through a stream host: sampling, plan, tracker, rule. CPU seconds an analysed frame."""
    watcher = hub_streams(stand.engine, stand.registry, settings.algorithm)([url], 60.0)
    try:
        window = watch(
            watcher,
            fps=_PROBE_FPS,
            pictures=_PROBE_FPS,
            seconds=settings.path_s,
            settle_s=0.5,
            start_s=_START_S,
        )
        if window.failing:
            raise NotHereError(window.failing[0])
        return window.cpu_s / max(1, sum(window.analysed))
    finally:
        watcher.close()


# How many cameras.


@dataclass(slots=True)
class _Field:
    """Cameras of one shape, and who is let loose on them."""

    stand: Stand
    settings: Settings
    shape: Shape
    cameras: CamerasApart
    near: dict[str, int] = field(default_factory=dict)
    """Where the border was last, by who and how: the next search begins there."""
    why: str = ""
    """What broke the promise at the smallest number that did."""
    busy: float = 0.0
    """Share of the machine that the simulator took at the largest number that held."""
    cost: float = 0.0
    """Cores that who watches took a camera then, without the simulator's."""

    def look(self, opens: Opens, count: int, fps: float, pictures: float) -> Window:
        """Watch so many cameras for a probe."""
        settings = self.settings
        watcher = opens(self.cameras.urls[:count], fps)
        try:
            return watch(
                watcher, fps=fps, pictures=pictures, seconds=settings.seconds, settle_s=settings.settle_s,
                start_s=_START_S + 0.2 * count,
            )  # fmt: skip
        finally:
            watcher.close()

    def border(self, who: str, opens: Opens, fps: float, mode: Mode = "full") -> Border:
        """How many cameras hold."""
        key = f"{who} {fps:g} {mode}"
        pictures = self.shape.fps if mode == "full" else 1 / self.settings.key_every_s
        broken: dict[int, str] = {}

        def holds(count: int) -> bool:
            self.stand.say(f"{who}: {count} cameras of {self.shape.name} at {fps:g}/s, {mode}")
            begun, cpu = time.monotonic(), self.cameras.cpu_s()
            window = self.look(opens, count, fps, pictures)
            broken[count] = window.broken(self.settings.slo)
            if not broken[count]:
                self.cost = window.cpu_s / window.seconds / count
                self.busy = (self.cameras.cpu_s() - cpu) / (time.monotonic() - begun) / cores()
            return not broken[count]

        start = self.near.get(key) or self._guess(opens, fps, pictures)
        found = find_border(holds, start=start, most=self.settings.most, tolerance=self.settings.tolerance)
        self.near[key] = max(1, found.held)
        self.why = "" if found.broke is None else broken[found.broke]
        return found

    def _guess(self, opens: Opens, fps: float, pictures: float) -> int:
        """A first guess: what two cameras cost, and the cores that there are."""
        count = min(2, self.settings.most)
        window = self.look(opens, count, fps, pictures)
        each = window.cpu_s / window.seconds / count
        return max(1, min(self.settings.most, int(0.9 * cores() / each))) if each > 0 else 1


def _held(stand: Stand, settings: Settings, cameras: _Field) -> None:
    """Every figure about cameras of one shape."""
    hub, seldom = _opens(stand, settings.algorithm), _opens(stand, settings.key_frame_algorithm)
    if settings.stage_cameras:
        with stand.part(f"stages of a frame, {cameras.shape.name}"):
            _stages(stand, settings, cameras, hub)
    beside = settings.peer_fps if cameras.shape.name in settings.peer_shapes else 0.0
    if beside:
        with stand.part(f"hub and plain loop, {cameras.shape.name}"):
            _peer(stand, settings, cameras, hub["full"])
    single: dict[tuple[float, Mode], Border] = {}
    costs: dict[tuple[float, Mode], float] = {}
    for fps in settings.fps:
        for mode in settings.modes:
            if (mode == "key-frames" and fps > settings.key_frame_fps) or (mode == "full" and fps == beside):
                continue
            with stand.part(f"{cameras.shape.name} at {fps:g}/s, {mode}"):
                rare = fps <= settings.key_frame_fps
                opens = seldom if rare else hub
                single[fps, mode] = cameras.border("hub", opens[mode], fps, mode)
                costs[fps, mode] = cameras.cost
                _say_held(
                    stand,
                    cameras,
                    fps,
                    mode,
                    [single[fps, mode].held],
                    settings.key_frame_algorithm if rare else settings.algorithm,
                )
    fps = settings.key_frame_fps
    if (fps, "full") in single and (fps, "key-frames") in single:
        full, key = single[fps, "full"], single[fps, "key-frames"]
        if not full.held:
            raise NotHereError(
                f"not one camera of {cameras.shape.name} is held here: nothing to be a multiple of"
            )
        _say_own_cores(stand, cameras, fps, costs[fps, "full"], costs[fps, "key-frames"])
        floor = "" if key.broke else f"; the search ends at {settings.most}, so this is a floor"
        stand.add(
            f"key-frames-over-full/{cameras.shape.name}",
            f"Cameras held at {fps:g} analysed frame a second, {cameras.shape.name}: key frames / full decode",
            key.held / full.held, target=least(5), against="full decode",
            detail=f"{key.held} and {full.held} cameras, a key frame every {settings.key_every_s:g} s{floor}",
        )  # fmt: skip


def _say_own_cores(stand: Stand, cameras: _Field, fps: float, full: float, key: float) -> None:
    """Full decode against key frames by what the hub itself takes: cameras that are elsewhere take nothing from its cores."""
    if full > 0 and key > 0:
        stand.add(
            f"key-frames-over-full-by-core/{cameras.shape.name}",
            f"Cameras a core of the hub's own carries at {fps:g} analysed frame a second, {cameras.shape.name}: key frames / full decode",
            full / key, target=least(5), against="full decode",
            detail=f"{1e3 * key:.1f} and {1e3 * full:.1f} ms of CPU a camera and second, each at the most cameras that hold; the simulator's not counted",
        )  # fmt: skip


def _opens(stand: Stand, algorithm: str) -> dict[Mode, Opens]:
    def made(*, key_frames: bool) -> Opens:
        return hub_streams(stand.engine, stand.registry, algorithm, key_frames=key_frames)

    return {"full": made(key_frames=False), "key-frames": made(key_frames=True)}


def _say_held(stand: Stand, cameras: _Field, fps: float, mode: Mode, held: Sequence[float], by: str) -> None:
    stand.add(
        f"cameras-held/{cameras.shape.name}/{fps:g}fps/{mode}",
        f"Cameras held, {cameras.shape.name}, {fps:g} analysed frames a second by {by}, {mode.replace('-', ' ')}",
        statistics.median(held), unit="cameras", kind="count", samples=held,
        detail=f"one more breaks it: {cameras.why or 'not tried, the search ends here'}; "
               f"the simulator takes {cameras.busy:.0%} of the machine",
        labels={"shape": cameras.shape.name, "fps": f"{fps:g}", "decode": mode, "algorithm": by},
    )  # fmt: skip


def _peer(stand: Stand, settings: Settings, cameras: _Field, hub: Opens) -> None:
    """Hub and plain loop in turns, each to its border."""
    detector = best_detector(stand.engine, settings.model, seconds=0.5 if stand.quick else 2.0)
    fps, name = settings.peer_fps, cameras.shape.name
    opens: dict[str, Opens] = {"hub": hub, "plain loop": plain_loop(detector)}
    held: dict[str, list[float]] = {who: [] for who in opens}
    why = {}
    try:
        # A cost a camera: the inverse of what is held, so that the ratio of costs is the ratio of cameras.
        def cost(who: str) -> Callable[[], float]:
            def search() -> float:
                found = cameras.border(who, opens[who], fps)
                why[who] = cameras.why
                held[who].append(found.held)
                return 1 / max(_NONE, found.held)

            return search

        taken = stand.take_turns({who: cost(who) for who in opens}, settings.turns, warm_up=0)
    finally:
        detector.session.close()
    cameras.why = why["hub"]
    _say_held(stand, cameras, fps, "full", held["hub"], settings.algorithm)
    stand.add(
        f"cameras-held-by-plain-loop/{name}/{fps:g}fps",
        f"Cameras held by a plain OpenCV + ONNX Runtime loop, {name}, {fps:g} analysed frames a second",
        statistics.median(held["plain loop"]), unit="cameras", kind="count", better="neither", samples=held["plain loop"],
        detail=f"{detector.name}, {detector.ms:.2f} ms a picture; one more breaks it: {why['plain loop']}",
    )  # fmt: skip
    if not statistics.median(held["plain loop"]):
        raise NotHereError("the plain loop holds not one camera here: nothing to be a multiple of")
    target: Target | None = least(1.8) if fps == 5 and settings.model == "coco" else None
    stand.ratio(
        f"held-over-plain-loop/{name}/{fps:g}fps",
        f"Cameras held, {name}, {fps:g} analysed frames a second: hub / plain OpenCV + ONNX Runtime loop",
        taken, "plain loop", "hub", better="higher", target=target,
        detail=f"hub {held['hub']}, plain loop {held['plain loop']} cameras",
    )  # fmt: skip


def _stages(stand: Stand, settings: Settings, cameras: _Field, hub: dict[Mode, Opens]) -> None:
    """CPU of each stage, ms an analysed frame."""
    name, bars = stand.engine.store.resolve(settings.model).name, {}
    for fps in settings.stage_fps:
        for mode in settings.modes:
            if mode == "key-frames" and fps > settings.key_frame_fps:
                continue
            pictures = cameras.shape.fps if mode == "full" else 1 / settings.key_every_s
            watcher = hub[mode](cameras.cameras.urls[: settings.stage_cameras], fps)
            try:
                first = watch(
                    watcher,
                    fps=fps,
                    pictures=pictures,
                    seconds=0.5,
                    settle_s=settings.settle_s,
                    start_s=_START_S,
                )
                if first.failing:
                    raise NotHereError(first.failing[0])
                costs, before = StageCosts(name), sum(watcher.analysed())
                time.sleep(settings.stage_s)
                frames = max(1, sum(watcher.analysed()) - before)
                bars[f"{fps:g}/s, {mode}"] = {
                    stage: seconds / frames * 1e3 for stage, seconds in costs.seconds().items()
                }
            finally:
                watcher.close()
    stand.stacks.append(
        Stack(
            name=f"stages/{cameras.shape.name}",
            title=f"CPU of an analysed frame by stage, {settings.stage_cameras} cameras of {cameras.shape.name}",
            bars={bar: {stage: parts[stage] for stage in STAGES} for bar, parts in bars.items()},
        )
    )
