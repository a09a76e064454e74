"""Whether alarms come, once, in time, and only when they should: real RTSP in, webhooks out, a whole hub between them.

Three parts. *Labelled clips* play once, as they are; what each must raise is written in the settings. *Timed alarms*: drawn cameras
on which codes appear at known pictures, with so many further cameras beside them that the machine is as busy as asked. The rule
wants a code on so many analysed frames in a row, and every picture of these cameras is analysed; so the picture that completes
the rule is known, and the time counts from when the simulator sent that picture until the webhook was received. At fewer analysed frames
a second the wait for the next one comes on top, up to one over the rate. *Faults*: one camera each goes wrong while codes are shown; an
alarm is due for what was shown for long enough outside the fault.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from aihub.bench.alarms.camera_faults import TROUBLES, play
from aihub.bench.alarms.code_clip import CodeClip
from aihub.bench.alarms.crowd import Crowd
from aihub.bench.alarms.stage import Scene, Stage, open_stage, wait_until
from aihub.bench.alarms.truth import Matched, Shown, match, remembered, shown_by
from aihub.bench.cameras import open_clip
from aihub.bench.results import histogram, most
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.cameras_apart import cameras_apart
from aihub.bench.suite import Options

CODES = "qr-and-barcode"
WELL = "none"
"""Name of the camera without a fault."""
_AFTER_S = 3.0
"""For the last alarms to arrive."""
_START_S = 30.0
"""For cameras to be played after they were added."""


class Labelled(Options):
    """A clip and what it must raise.

    Attributes:
        clip: below the test media; played once.
        algorithm: that watches it.
        params: of the algorithm.
        alarms: events that it must raise, 0 or 1.
        seconds: of the clip; 0 for all.
    """

    clip: str
    algorithm: str
    params: dict[str, Any] = Field(default_factory=dict)
    alarms: int = Field(ge=0, le=1)
    seconds: float = Field(0.0, ge=0, le=3600)


class Settings(Options):
    """Settings of `alarms`.

    Attributes:
        labelled: clips with known truth.
        labelled_fps: analysed frames a second of them.
        fps: pictures and analysed frames a second of the drawn cameras.
        inertia: analysed frames in a row on which a code must be read.
        cameras: drawn cameras whose alarms are timed.
        timed_s: how long.
        load: share of the machine's cores that is taken meanwhile, by hub, cameras and all else; 0 adds no further cameras.
        load_clip: what the further cameras show, below the test media.
        load_fps: their analysed frames a second.
        load_algorithm: that watches them.
        load_model: what it runs; tuned first.
        load_most: further cameras at most.
        troubles: faults of cameras; see `aihub.bench.alarms.camera_faults`.
        before_s: how long all is well before the faults.
        trouble_s: how long the faults last.
        after_s: how long all is well afterwards.
        rounds: how often the faults come.
        recover_s: time that the hub has after a fault; what is shown only until then need not raise an alarm.
        overload: times the cameras of `load` for the fault `overload`; 0 leaves it out.
        overload_s: how long.
        tune_s: for tuning the model; 0 leaves its profile as it is.
    """

    labelled: tuple[Labelled, ...] = ()
    labelled_fps: float = Field(10.0, gt=0, le=60)
    fps: float = Field(10.0, gt=0, le=60)
    inertia: int = Field(2, ge=1, le=20)
    cameras: int = Field(2, ge=1, le=64)
    timed_s: float = Field(120.0, ge=5, le=36_000)
    load: float = Field(0.7, ge=0, le=1)
    load_clip: str = "video/one-by-one-person-detection.mp4"
    load_fps: float = Field(5.0, gt=0, le=60)
    load_algorithm: str = "intrusion"
    load_model: str = "coco"
    load_most: int = Field(64, ge=1, le=1024)
    troubles: tuple[str, ...] = tuple(TROUBLES)
    before_s: float = Field(18.0, ge=1, le=3600)
    trouble_s: float = Field(8.0, ge=1, le=3600)
    after_s: float = Field(18.0, ge=1, le=3600)
    rounds: int = Field(3, ge=1, le=1000)
    recover_s: float = Field(10.0, ge=0, le=600)
    overload: float = Field(2.5, ge=0, le=20)
    overload_s: float = Field(30.0, ge=5, le=3600)
    tune_s: float = Field(10.0, ge=0, le=300)


def run(stand: Stand, settings: Settings) -> None:
    """Measure; see the module."""
    unknown = set(settings.troubles) - set(TROUBLES)
    if unknown:
        raise NotHereError(f"no trouble {', '.join(sorted(unknown))}: {', '.join(TROUBLES)}")
    with stand.part(f"tuning {settings.load_model}"):
        if settings.tune_s and not stand.engine.missing([settings.load_model]):
            tuned(stand.engine, settings.load_model, settings.tune_s)
    stand.say("starting the hub")
    with open_stage(stand) as stage:
        memory = stage.client.algorithm(CODES).event
        memory_s = memory.close_after + memory.cooldown if memory else 0.0
        if settings.labelled:
            with stand.part("labelled clips"):
                _labelled(stand, settings, stage)
        if settings.troubles:
            with stand.part("faults of cameras"):
                _troubles(stand, settings, stage, memory_s)
        with stand.part("timed alarms"):
            _timed(stand, settings, stage, memory_s)


def _quality(stand: Stand, name: str, title: str, matched: Matched) -> None:
    stand.add(f"event-precision/{name}", f"Precision of alarms, {title}", matched.precision, unit="", kind="accuracy",
              detail=str(matched))  # fmt: skip
    stand.add(f"event-recall/{name}", f"Recall of alarms, {title}", matched.recall, unit="", kind="accuracy",
              detail=str(matched))  # fmt: skip


# Labelled clips.


def _labelled(stand: Stand, settings: Settings, stage: Stage) -> None:
    """Every clip once, all at the same time, each on a camera of its own."""
    rows = settings.labelled
    files = [stand.media(*row.clip.split("/")) for row in rows]
    lengths = [row.seconds or _length(path) for row, path in zip(rows, files, strict=True)]
    tasks = [{"id": "watch", "algorithm": row.algorithm, "params": row.params} for row in rows]
    # A stream host loads a model when first asked: the clips would be half over.
    with stage.scene(files, tasks, name="warm-up", fps=settings.labelled_fps) as warm_up:
        stage.live(warm_up.streams)
    with stage.scene(files, tasks, name="labelled", fps=settings.labelled_fps, loop=False) as scene:
        ended: set[int] = set()

        def all_over() -> bool:
            for number, stream in enumerate(scene.streams):
                sent = scene.sent(stream)
                if number not in ended and sent and time.time() - sent[0][1] >= lengths[number]:
                    # Who comes back would be played the clip again: the camera refuses.
                    scene.server.fault(number, "drop", close=True)
                    ended.add(number)
            return len(ended) == len(rows)

        if not wait_until(all_over, max(lengths) + _START_S):
            raise NotHereError("the hub does not play every labelled clip")
        stage.pause(_AFTER_S)
        row_of = dict(zip(scene.streams, rows, strict=True))
        shown = [
            Shown(stream, "", tuple(at for _, at in scene.sent(stream)))
            for stream, row in row_of.items()
            if row.alarms
        ]
        matched = match(shown, stage.alarms(scene.streams), late_s=_START_S)
    _quality(stand, "labelled", f"{len(rows)} labelled clips", matched)
    waits = {one.camera: alarm.at - one.begin for one, alarm in matched.hits}
    if waits:
        told = (f"{row_of[stream].algorithm} {seconds:.1f} s" for stream, seconds in waits.items())
        stand.add("time-to-alarm/labelled", "First picture of a labelled clip sent to webhook received, with the rule's own inertia",
                  statistics.median(waits.values()), unit="s", kind="time", better="lower", samples=tuple(waits.values()),
                  detail="; ".join(told))  # fmt: skip


def _length(path: Path) -> float:
    """Seconds of a clip, less a picture: at its very end the camera says goodbye."""
    clip = open_clip(path)
    try:
        return (clip.seconds or 0.0) - 1 / clip.fps
    finally:
        clip.close()


# Faults.


def _task(settings: Settings) -> dict[str, Any]:
    return {"id": "codes", "algorithm": CODES, "params": {"formats": ["QRCode"], "inertia": settings.inertia}}


def _troubles(stand: Stand, settings: Settings, stage: Stage, memory_s: float) -> None:
    """One camera a fault, all at the same time, and one that stays well."""
    names = settings.troubles
    # A code appears while things are wrong and stays until well afterwards.
    clip = CodeClip(settings.before_s + settings.trouble_s / 2, 1.0, 2 * settings.rounds + 4, settings.fps)
    tasks = [_task(settings)] * (len(names) + 1)
    with stage.scene([clip.footage(stand.seed)], tasks, name="trouble", fps=settings.fps) as scene:
        stage.live(scene.streams)
        spells = []
        for number in range(settings.rounds):
            stage.pause(settings.before_s)
            stand.say(f"faults, round {number + 1} of {settings.rounds}: {', '.join(names)}")
            spells.append(play(scene.server, names, settings.trouble_s))
            stage.pause(settings.after_s)
        # What has only just come on has had no time to be told.
        least_s = 1.0 + settings.inertia / settings.fps

        def shown() -> list[Shown]:
            return [
                one
                for stream, name in zip(scene.streams, [*names, WELL], strict=True)
                for one in shown_by(
                    stream, scene.sent(stream), clip.text, faults=() if name == WELL else spells, least_s=least_s,
                    recover_s=settings.recover_s,
                )
            ]  # fmt: skip

        matched = _settled(stage, scene, shown, memory_s)
        for stream, name in zip(scene.streams, [*names, WELL], strict=True):
            about = TROUBLES[name].about if name in TROUBLES else "a camera beside the others"
            _lost(stand, name, about, matched.of(stream))


def _settled(stage: Stage, scene: Scene, shown: Callable[[], list[Shown]], memory_s: float) -> Matched:
    """What became of all that is shown until now, when its alarms have had time to arrive."""
    known = shown()
    stage.pause(_AFTER_S)
    # What came on since then is in neither.
    names = {(one.camera, one.key) for one in known}
    later = {(one.camera, one.key) for one in shown()} - names
    raised = [one for one in stage.alarms(scene.streams) if (one.camera, one.key) not in later]
    return match(remembered(known, memory_s), raised)


def _lost(stand: Stand, name: str, about: str, matched: Matched) -> None:
    """Figures of one fault."""
    for what, title, value, target in (
        ("lost", f"Alarms lost: {name}, {about}", len(matched.missed), most(0, applies=matched.due > 0)),
        ("twice", f"Alarms raised twice: {name}", len(matched.duplicates), None),
        ("false", f"Alarms for nothing: {name}", len(matched.false), None),
    ):
        stand.add(f"alarms-{what}/{name}", title, value, unit="alarms", kind="count", better="lower", target=target,
                  detail=str(matched))  # fmt: skip


# Timed alarms.


def _timed(stand: Stand, settings: Settings, stage: Stage, memory_s: float) -> None:
    """Alarms by the clock beside a crowd, then the same beside one that is too much."""
    if not settings.load:
        _time(stand, settings, stage, memory_s, None)
        return
    source = stand.media(*settings.load_clip.split("/"))
    with cameras_apart([source], settings.load_most) as cameras:
        crowd = Crowd(stage, cameras, settings.load_algorithm, settings.load_fps, stand.say)
        try:
            crowd.reach(settings.load, 2.0 if stand.quick else 5.0)
            _time(stand, settings, stage, memory_s, crowd)
            if settings.overload:
                with stand.part("overload"):
                    _overload(stand, settings, stage, memory_s, crowd)
        finally:
            crowd.leave()


def _watched(stand: Stand, settings: Settings, stage: Stage, memory_s: float, clip: CodeClip,
             seconds: float, name: str, least_s: float) -> Matched:  # fmt: skip
    """Cameras with codes for a while, and what became of them."""
    tasks = [_task(settings)] * settings.cameras
    with stage.scene([clip.footage(stand.seed)], tasks, name=name, fps=settings.fps) as scene:
        stage.live(scene.streams)
        stage.pause(seconds)

        def shown() -> list[Shown]:
            return [
                one
                for stream in scene.streams
                for one in shown_by(stream, scene.sent(stream), clip.text, least_s=least_s)
            ]

        return _settled(stage, scene, shown, memory_s)


def _time(stand: Stand, settings: Settings, stage: Stage, memory_s: float, crowd: Crowd | None) -> None:
    """Time alarms while the machine is as busy as it is."""
    clip = CodeClip(1.0, 1.0, max(2, round(settings.timed_s) * 2), settings.fps)
    stand.say("timing alarms")
    busy = crowd.watched() if crowd else None
    matched = _watched(stand, settings, stage, memory_s, clip, settings.timed_s, "timed", 0.5)
    share, further = busy.whole() if busy else 0.0, crowd.size if crowd else 0
    how = f"{further} further cameras at {settings.load_fps:g}/s, {share:.0%} of the cores taken"
    _quality(stand, "timed", f"codes that come and go, {how}", matched)
    hours = settings.cameras * settings.timed_s / 3600
    stand.add("duplicates-an-hour/timed", "Alarms raised twice, a camera and hour", len(matched.duplicates) / hours,
              unit="1/h", kind="count", better="lower", detail=str(matched))  # fmt: skip
    last = settings.inertia - 1
    waits = [(alarm.at - one.times[last]) * 1e3 for one, alarm in matched.hits if len(one.times) > last]
    if not waits:
        return
    target = most(
        300, applies=share >= 0.9 * settings.load, condition=f"with {settings.load:.0%} of the cores taken"
    )
    blocks = [waits[start::5] for start in range(5)] if len(waits) >= 50 else []
    for name, level in (("p50", 50), ("p95", 95)):
        stand.add(
            f"time-to-alarm/{name}", f"Picture that completes the rule sent to webhook received, {name}",
            float(np.percentile(waits, level)), unit="ms", kind="time", better="lower",
            samples=[float(np.percentile(block, level)) for block in blocks], target=target if level == 95 else None,
            detail=f"{len(waits)} alarms, {how}",
        )  # fmt: skip
    stand.histograms.append(
        histogram("time-to-alarm", "Picture that completes the rule sent to webhook received", {how: waits})
    )


def _overload(stand: Stand, settings: Settings, stage: Stage, memory_s: float, crowd: Crowd) -> None:
    """More cameras than can be held; those that raise alarms are not to lose one."""
    crowd.grow(max(crowd.size + 4, round(crowd.size * settings.overload)))
    busy = crowd.watched()
    clip = CodeClip(4.0, 1.0, max(2, round(settings.overload_s)), settings.fps)
    matched = _watched(stand, settings, stage, memory_s, clip, settings.overload_s, "overload", 3.0)
    about = f"{crowd.size} further cameras, {busy.whole():.0%} of the cores taken"
    _lost(stand, "overload", about, matched)
