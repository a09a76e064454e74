"""Measure what the capacity planner adds up: decoding, letterboxes, stages, models, memory; all through the hub's stream host."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import psutil
from scipy.optimize import nnls

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.chains import links_of, work_keys
from aihub.bench.machine import gpus
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.cameras_apart import cameras_apart, source_of
from aihub.bench.streams.clips import footage_of
from aihub.bench.streams.empty_host import process_mb
from aihub.bench.streams.hosting import Taken, Watched, hosted
from aihub.bench.turns import cpu
from aihub.capacity.costs import AlgorithmWork, Costs, DecodeCost, Linear, Memory, Piece
from aihub.engine.machine import cores, fingerprint, processor, resident_bytes
from aihub.engine.preprocess import prepare
from aihub.events.evidence import QUALITY
from aihub.types import Frame, Image, InputSpec

SELDOM_FPS = 0.5
"""Rate at which frames are taken out where only decoding is to be seen."""
SLOW_FPS = 5.0
"""Rate at which a camera plays, to tell what a stream costs beside its pictures."""
HELD = 0.5
"""Less of the frames analysed than this, and what is left is no fair sample of what they cost."""
TURNS = 3
"""Of the runs without algorithms, each twice as long as the one before, until they tell what decoding costs."""
FREE_MS = 1e-3
"""No decoder does a picture in less; what seems to take that was not seen."""
_KINDS = {"H264": "h264", "H265": "h265"}

Points = list[tuple[float, float]]
"""Megapixels and cost."""


@dataclass(slots=True)
class Gathered:
    """What was measured so far.

    Attributes:
        rows: of the runs without algorithms: megapixels, streams, source and analysed frames a second of all, cores.
        key: CPU milliseconds of every picture that is sent where only key frames are decoded, by codec.
        own: CPU milliseconds a frame of each stage's own code, by size of the picture.
        ran: the same of its models; `lasted` on the clock.
        boxes: CPU milliseconds of each letterbox, by size of the picture.
        memory: megabytes of one stream.
        snapshots: kilobytes of an event's picture.
        codecs: of the clips, by their size.
    """

    rows: list[tuple[float, int, float, float, float]] = field(default_factory=list)
    key: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    own: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    ran: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    lasted: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    boxes: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    memory: Points = field(default_factory=list)
    snapshots: Points = field(default_factory=list)
    codecs: dict[float, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a stream costs before anything looks at it.

    Attributes:
        stream_ms_s: beside its pictures, a second.
        decode: by codec, every picture that is sent.
        sample: a picture that is taken out.
    """

    stream_ms_s: float
    decode: Mapping[str, Linear]
    sample: Linear

    def cores(self, codec: str, mpixel: float, source_fps: float, fps: float) -> float:
        """Cores that a stream keeps busy before anything looks at it."""
        decode = self.decode[codec].at(mpixel) * source_fps
        return (self.stream_ms_s + decode + self.sample.at(mpixel) * fps) / 1e3


class Costing:
    """Measures, clip by clip.

    Args:
        stand: engine, registry, progress bar.
        clips: what cameras play, see `cameras_apart.source_of`.
        seconds: of each run.
        streams: at once.
        fps: analysed frames a second of each, where something looks at them.
    """

    def __init__(
        self, stand: Stand, clips: Sequence[str], *, seconds: float, streams: int, fps: float
    ) -> None:
        self._stand, self.clips, self._seconds = stand, tuple(clips), seconds
        self._streams, self._fps = streams, fps
        self.found = Gathered()

    def baseline(self) -> Baseline:
        """Run streams that nothing looks at: decoding, taking out, and the rest, told apart by their rates.

        No picture is decoded for nothing: runs that say so were drowned by what else this process did; longer ones
        replace them, here and in all that follows.

        Raises:
            NotHereError: a clip cannot be played here, or decoding cannot be told from the rest.
        """
        for turn in range(TURNS):
            for clip in self.clips:
                self._stand.say(f"decode {clip}")
                with cameras_apart([clip], self._streams) as apart:
                    self._without(apart.urls, SELDOM_FPS, remember_memory=turn == 0)
                    self._without(apart.urls, 60.0)
                    if turn == 0:
                        self._key_frames(clip, apart.urls)
                        self._look(clip)
            with cameras_apart([self.clips[-1]], self._streams, fps=SLOW_FPS) as apart:
                self._without(apart.urls, SELDOM_FPS)
            base = _solve(self.found)
            if not (free := _decoded_for_nothing(self.found, base)):
                return base
            self.found.rows.clear()
            self._seconds *= 2
        raise NotHereError(
            f"decoding {free} cannot be told from what else this process does: "
            "measure on a quieter machine, with more `streams` or `seconds`"
        )

    def _without(self, urls: Sequence[str], fps: float, *, remember_memory: bool = False) -> None:
        before = resident_bytes()
        with hosted(
            self._stand.engine, self._stand.registry, [Watched(url, (), fps) for url in urls]
        ) as running:
            taken = running.take(self._seconds)
            if remember_memory:
                grown = max(0, resident_bytes() - before) / 1e6 / len(urls)
                self.found.memory.append((_mpixel(taken), grown))
        if not all(taken.read):
            raise NotHereError("a stream got no frame in time: the machine is too busy to be measured")
        self.found.codecs[_mpixel(taken)] = _codec(taken)
        self.found.rows.append(
            (
                _mpixel(taken),
                len(urls),
                sum(taken.read) / taken.seconds,
                sum(taken.analysed) / taken.seconds,
                taken.cores,
            )
        )

    def _key_frames(self, clip: str, urls: Sequence[str]) -> None:
        watched = [Watched(url, (), SELDOM_FPS, key_frames=True) for url in urls]
        engine, registry = self._stand.engine, self._stand.registry
        with (
            self._stand.part(f"key frames of {clip}"),
            hosted(engine, registry, watched, first=1) as running,
        ):
            looks = 1 if self._stand.quick else 2
            taken = running.take(max(self._seconds, looks * KEY_SPACING_S))
            # Those that were left out were received all the same: the cost goes on every picture that is sent.
            sent = taken.seconds * max(row[2] for row in self.found.rows if row[0] == _mpixel(taken))
            self.found.key[_codec(taken)].append((_mpixel(taken), 1e3 * taken.cpu_s / sent))

    def _look(self, clip: str) -> None:
        """What an event's picture takes: those of the clip, as evidence is kept."""
        sizes = []
        pictures = frames_of(clip, 3)
        for image in pictures:
            done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            if done:
                sizes.append(len(data) / 1e3)
        height, width = pictures[0].shape[:2]
        self.found.snapshots.append((height * width / 1e6, statistics.mean(sizes)))

    def algorithms(self, names: Sequence[str], base: Baseline) -> dict[str, Algorithm]:
        """Run each algorithm alone on each clip, and note what its stages cost beyond the stream.

        Returns:
            Those that can run here.
        """
        measured: dict[str, Algorithm] = {}
        for name in names:
            algorithm = self._stand.registry.get(name)
            with self._stand.part(f"algorithm {name}"):
                self._stand.engine.warm(algorithm.models())
                for clip in self.clips:
                    self._boxes(clip, algorithm)
                    with cameras_apart([clip], self._streams) as apart:
                        self._alone(apart.urls, algorithm, base)
                measured[name] = algorithm
        return measured

    def _boxes(self, clip: str, algorithm: Algorithm) -> None:
        for spec in letterboxes(self._stand, algorithm).values():
            images = frames_of(clip, 4)
            mpixel = images[0].shape[0] * images[0].shape[1] / 1e6
            if any(abs(size - mpixel) < 1e-6 for size, _ in self.found.boxes[_box_key(spec)]):
                continue
            times = [cpu(partial(_letterbox, image, spec), 3) for image in images]
            self.found.boxes[_box_key(spec)].append((mpixel, 1e3 * statistics.median(times)))

    def _alone(self, urls: Sequence[str], algorithm: Algorithm, base: Baseline) -> None:
        """Several streams that are looked at seldom, as in a hub: what comes often runs on warm caches and costs less."""
        watched = [Watched(url, (algorithm.card.id,), self._fps) for url in urls]
        with hosted(self._stand.engine, self._stand.registry, watched) as running:
            taken = running.take(self._seconds)
        mpixel, analysed = _mpixel(taken), sum(taken.analysed)
        held = analysed / (self._fps * len(urls) * taken.seconds)
        if held < HELD:
            raise NotHereError(f"only {held:.0%} of the frames were analysed: the machine is too busy")
        stream = sum(
            base.cores(_codec(taken), mpixel, read / taken.seconds, looked / taken.seconds)
            for read, looked in zip(taken.read, taken.analysed, strict=True)
        )
        beyond = max(0.0, taken.cpu_s - stream * taken.seconds) * 1e3 / analysed
        own = {key: 1e3 * mine / analysed for key, (mine, _) in taken.spent.items()}
        ran = {key: 1e3 * models / analysed for key, (_, models) in taken.spent.items()}
        # Own code is counted by its thread; what is left was spent for the models, waking their threads included.
        for_models, asked = max(0.0, beyond - sum(own.values())), sum(ran.values())
        scale = beyond / sum(own.values()) if not asked and sum(own.values()) > 0 else 1.0
        boxes = letterboxes(self._stand, algorithm)
        for key in own:
            box = _nearest(self.found.boxes[_box_key(boxes[key])], mpixel) if key in boxes else 0.0
            self.found.own[key].append((mpixel, max(0.0, own[key] * scale - box)))
            self.found.ran[key].append((mpixel, for_models * ran[key] / asked if asked else 0.0))
            self.found.lasted[key].append((mpixel, ran[key]))


KEY_SPACING_S = 4.0
"""Between two key frames of the camera simulator: a run in key-frame mode sees one of each camera at least, a long one two."""


def _solve(found: Gathered) -> Baseline:
    """The non-negative costs that explain the runs best: of a stream a second, of a picture sent, of one taken out."""
    codecs = sorted(set(found.codecs.values()))
    columns = []
    for mpixel, streams, sent, analysed, _ in found.rows:
        mine = found.codecs[mpixel]
        decode = [
            part for codec in codecs for part in ((sent, sent * mpixel) if codec == mine else (0.0, 0.0))
        ]
        columns.append([streams, *decode, analysed, analysed * mpixel])
    wanted = np.array([1e3 * row[4] for row in found.rows])
    solved = nnls(np.array(columns, np.float64), wanted)[0]
    decode_of = {
        codec: Linear(fixed=solved[1 + 2 * at], per_mpixel=solved[2 + 2 * at])
        for at, codec in enumerate(codecs)
    }
    return Baseline(float(solved[0]), decode_of, Linear(fixed=solved[-2], per_mpixel=solved[-1]))


def _decoded_for_nothing(found: Gathered, base: Baseline) -> str:
    """The codecs that seem to cost nothing at a size that was measured."""
    free = {codec for mpixel, codec in found.codecs.items() if base.decode[codec].at(mpixel) < FREE_MS}
    return ", ".join(sorted(free))


def letterboxes(stand: Stand, algorithm: Algorithm) -> dict[str, InputSpec]:
    """The inputs that an algorithm has made from the whole picture, by the stage that has them made."""
    stages = algorithm.resolve({}).stages
    found = {}
    for key, (kind, params) in zip(work_keys(links_of(stages)), stages, strict=True):
        if kind.name == "detect":
            spec = stand.engine.store.resolve(kind.models(params)[0]).input
            if spec is not None:
                found[key] = spec
    return found


def _letterbox(image: Image, spec: InputSpec) -> None:
    prepare(Frame(image), spec)  # a new frame remembers nothing


def _box_key(spec: InputSpec) -> str:
    rows, columns = spec.size
    pad = f"-{spec.pad}" if spec.resize != "stretch" else ""
    return f"{spec.resize}-{columns}x{rows}{pad}"


def documented(stand: Stand, costing: Costing, base: Baseline, measured: Mapping[str, Algorithm]) -> Costs:
    """All that was measured as one document."""
    found, store = costing.found, stand.engine.store
    pieces: dict[str, Piece] = {
        name: Piece(title=name, kind="letterbox", own_ms=Linear.through(points))
        for name, points in found.boxes.items()
    }
    algorithms: dict[str, AlgorithmWork] = {}
    on_gpu = {one.name for one in stand.engine.loaded() if _is_gpu(one.attached)}
    for name, algorithm in measured.items():
        stages = algorithm.resolve({}).stages
        boxes = letterboxes(stand, algorithm)
        keys = work_keys(links_of(stages))
        for key, (kind, params) in zip(keys, stages, strict=True):
            models = tuple(store.resolve(model).name for model in kind.models(params))
            lasted = statistics.mean(ms for _, ms in found.lasted[key])
            pieces[key] = Piece(
                title=kind.name, kind="stage", models=models, own_ms=Linear.through(found.own[key]),
                model_ms=Linear.through(found.ran[key]), gpu_ms=lasted if on_gpu.intersection(models) else 0.0,
            )  # fmt: skip
        algorithms[name] = AlgorithmWork(
            version=algorithm.card.version,
            pieces=(*dict.fromkeys(_box_key(spec) for spec in boxes.values()), *keys),
            models=tuple(dict.fromkeys(store.resolve(model).name for model in algorithm.models())),
        )
    return Costs(
        measured_at=datetime.now(UTC),
        fingerprint=fingerprint(gpus()),
        processor=processor()[0],
        cores=cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 2),
        gpus=gpus(),
        footage=", ".join(_called(clip) for clip in costing.clips),
        stream_ms_s=base.stream_ms_s,
        sample_ms=base.sample,
        decode=_decodes(costing, base),
        pieces=pieces,
        algorithms=algorithms,
        memory=Memory(
            process_mb=process_mb(),
            models_mb={one.name: one.bytes / 1e6 for one in stand.engine.loaded()},
            stream_mb=Linear.through(found.memory),
        ),
        snapshot_kb=Linear.through(found.snapshots),
    )


def _decodes(costing: Costing, base: Baseline) -> tuple[DecodeCost, ...]:
    footage = ", ".join(_called(clip) for clip in costing.clips)
    full = [
        DecodeCost.model_validate({"codec": _KINDS[codec], "mode": "full", "ms": ms, "footage": footage})
        for codec, ms in base.decode.items()
    ]
    key = [
        DecodeCost.model_validate(
            {"codec": _KINDS[codec], "mode": "key", "ms": Linear.through(points), "footage": footage}
        )
        for codec, points in costing.found.key.items()
    ]
    return (*full, *key)


def _called(clip: str) -> str:
    return clip if clip.startswith("drawn:") else Path(clip).name


def _is_gpu(attached: str) -> bool:
    return any(word in attached for word in ("CUDA", "Tensorrt", "GPU"))


def _mpixel(taken: Taken) -> float:
    width, height = taken.size[0]
    return width * height / 1e6


def _codec(taken: Taken) -> str:
    if taken.codec[0] not in _KINDS:
        raise NotHereError(f"costs of {taken.codec[0] or 'such'} video are not planned with")
    return taken.codec[0]


def _nearest(points: Points, mpixel: float) -> float:
    return min(points, key=lambda point: abs(point[0] - mpixel))[1] if points else 0.0


def frames_of(clip: str, count: int) -> list[Image]:
    """The first pictures of a clip, `(height, width, 3)` uint8 BGR.

    Raises:
        NotHereError: it has none that can be read.
    """
    source = source_of(clip)
    pictures = footage_of(source, count) if isinstance(source, Path) else source.frames()
    return list(islice(pictures, count))
