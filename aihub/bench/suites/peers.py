"""The hub beside other servers with the same model behind them, one client, the same cores, in turns.

All servers are started at the beginning and stay: their starts (Ray takes ten seconds) would otherwise take longer than what is
measured. One at a time is driven. Whether the others keep quiet meanwhile is measured, and one that does not is started for each
of its turns and ended after it. The runtime, precision and threads that the hub's tuner picks are given to every peer, and to
the bare loop, unless `peer_run` says otherwise.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from aihub import __version__
from aihub.bench.peers import contestants
from aihub.bench.peers.cameras import Asked, held
from aihub.bench.peers.contestants import BARE, HUB, Contestant, Taken, bare_loop, disagreement
from aihub.bench.peers.installed import ENVIRONMENTS, cards, installed
from aihub.bench.peers.pipeline import inference_pipeline
from aihub.bench.results import Curve, histogram, least
from aihub.bench.runtimes.subjects import tuned
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.engine.graph import prepare_graph
from aihub.engine.machine import cores
from aihub.engine.session import RunSettings
from aihub.errors import SessionError

Name = Literal["litserve", "bentoml", "mlserver", "ray-serve", "inference"]


class Settings(Options):
    """Settings of `peers`.

    Attributes:
        environments: folder of the peers' environments.
        peers: that are measured, where they are installed.
        model: role or name; a YOLOX.
        peer_run: `tuned` gives peers the runtime, precision and threads that the hub's tuner picks: what is left is the serving.
            `onnxruntime` gives them ONNX Runtime in float32, a thread a run and a run a core, which their own examples come to.
        algorithm: the hub's, that runs the model and nothing dear beside it.
        keep: labels that every server answers: those of the algorithm.
        confidence: least confidence of a box, as the algorithm's own.
        picture: below the test media.
        concurrency: requests in flight in the turns.
        curve: requests in flight of the curve.
        turns: of detection and of echo; warm_up: turns before them that do not count.
        seconds: of a turn of detection; echo_s: of echo; curve_s: of a point of the curve.
        idle: cores that a server with nothing to do may keep busy; idle_s: how long that is looked at.
        tune_s: for tuning the model; 0 leaves its profile as it is.
        cameras: whether cameras held by InferencePipeline are measured too.
        clip: for that, below the test media; shape, fps, most_cameras, tolerance, probe_s, settle_s, camera_turns, analysed, age_ms:
            see `aihub.bench.peers.cameras.Asked`.
    """

    environments: Path = ENVIRONMENTS
    peers: tuple[Name, ...] = ("litserve", "bentoml", "mlserver", "ray-serve", "inference")
    model: str = "coco"
    peer_run: Literal["tuned", "onnxruntime"] = "tuned"
    algorithm: str = "person-detection"
    keep: tuple[str, ...] = ("person",)
    confidence: float = Field(0.4, gt=0, lt=1)
    picture: str = "images/coco/000000000036.jpg"
    concurrency: int = Field(16, ge=1, le=1024)
    curve: tuple[int, ...] = (1, 4, 16, 64)
    turns: int = Field(7, ge=1, le=100)
    warm_up: int = Field(1, ge=0, le=10)
    seconds: float = Field(5.0, ge=0.5, le=300)
    echo_s: float = Field(3.0, ge=0.5, le=300)
    curve_s: float = Field(3.0, ge=0, le=300)
    idle: float = Field(0.15, ge=0, le=64)
    idle_s: float = Field(3.0, ge=0.5, le=60)
    tune_s: float = Field(10.0, ge=0, le=300)
    cameras: bool = True
    clip: str = "video/one-by-one-person-detection.mp4"
    camera_algorithm: str = "intrusion"
    shape: Literal["1080p25", "360p25"] = "360p25"
    fps: float = Field(5.0, gt=0, le=60)
    most_cameras: int = Field(128, ge=1, le=1024)
    tolerance: float = Field(0.1, ge=0, le=0.5)
    probe_s: float = Field(6.0, ge=0.5, le=600)
    settle_s: float = Field(3.0, ge=0, le=60)
    camera_turns: int = Field(3, ge=1, le=20)
    analysed: float = Field(0.95, gt=0, le=1)
    age_ms: float = Field(250.0, gt=0, le=10_000)


def run(stand: Stand, settings: Settings) -> None:
    """Measure; see the module."""
    picture = stand.media(*settings.picture.split("/"))
    stand.say(f"tuning {settings.model}")
    if settings.tune_s:
        tuned(stand.engine, settings.model, settings.tune_s)
    detector = write_settings(stand, settings)
    with ExitStack() as everyone, stand.part("HTTP"):
        race = _Race(stand, settings, picture, detector)
        everyone.callback(race.leave)
        race.enter()
        taken = race.detection()
        race.echo()
        race.curve(taken)
    if settings.cameras and "inference" in settings.peers:
        with stand.part("cameras held by InferencePipeline"):
            _cameras(stand, settings, detector)


def write_settings(stand: Stand, settings: Settings) -> Path:
    """What every peer's detector runs: the hub's own graph, and its tuner's runtime, precision and threads.

    Raises:
        AihubError: the weights are not to be had.
        NotHereError: the model is not one that the peers' detector reads.
    """
    engine = stand.engine
    engine.warm([settings.model])
    card = engine.store.resolve(settings.model)
    if card.decoder != "yolox" or card.input is None or card.input.resize != "letterbox":
        raise NotHereError(
            f"the peers' detector reads YOLOX with pictures in the upper left corner, {card.name} is another"
        )
    chosen = next(loaded.settings for loaded in engine.loaded() if loaded.name == card.name)
    if settings.peer_run == "onnxruntime":
        chosen = RunSettings(parallel=cores(), batch=1)
    work = stand.folder / "peers"
    work.mkdir(exist_ok=True)
    graph, path = (work / f"{card.name}.onnx").absolute(), work / "detector.json"
    graph.write_bytes(prepare_graph(engine.store.path(card).read_bytes(), card))
    path.write_text(json.dumps({
        "model": str(graph), "runtime": chosen.backend, "precision": chosen.precision, "threads": chosen.threads,
        "workers": chosen.parallel, "batch": max(1, chosen.batch), "size": card.input.size, "pad": card.input.pad,
        "labels": card.labels, "keep": settings.keep, "confidence": settings.confidence, "iou": card.iou,
    }))  # fmt: skip
    return path


@dataclass(slots=True)
class _Race:
    """Everybody who takes part over HTTP, and what came of it.

    Attributes:
        there: by name, the hub first.
        taken: every turn of detection, by name.
        broken: who gave no good answer in a turn, and what was said of it; its speed is not told.
    """

    stand: Stand
    settings: Settings
    picture: Path
    detector: Path
    there: dict[str, Contestant] = field(default_factory=dict)
    taken: dict[str, list[Taken]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def enter(self) -> None:
        """Start the hub and all peers that are installed; who answers otherwise than the hub is left out, and it is said."""
        jpeg = self.picture.read_bytes()
        self._start(contestants.hub(self.stand, self.settings.algorithm, __version__))
        asked = self.there[HUB].ask(jpeg)
        for card in cards():
            if card.name not in self.settings.peers:
                continue
            self.stand.say(f"starting {card.title}")
            try:
                found = installed(card, self.settings.environments)
                self._start(contestants.peer(found, self.detector, self.detector.parent, jpeg))
            except NotHereError as error:
                self.stand.skipped[card.title] = error.message
        for one in [one for one in self.there.values() if one.name != HUB]:
            if differs := disagreement(asked, one.ask(jpeg)):
                one.leave()
                del self.there[one.name]
                self.stand.skipped[one.title] = (
                    f"answers otherwise than the hub, so its speed says nothing: {differs}"
                )
        self._listen()

    def _start(self, one: Contestant) -> None:
        one.stand()
        self.there[one.name] = one

    def leave(self) -> None:
        """End everybody."""
        with ThreadPoolExecutor(len(self.there) or 1) as pool:  # each takes its time to end
            list(pool.map(lambda one: one.leave(), self.there.values()))

    def _listen(self) -> None:
        """How busy each is with nothing to do; who is too busy stands down until its turns."""
        for one in self.there.values():
            self.stand.say(f"{one.title}, idle")
            stays = one.quiet(self.settings.idle_s, self.settings.idle)
            self.stand.add(
                f"idle-cpu/{one.name}", f"{one.title}: cores busy with nothing to do", one.idle, unit="cores", kind="count",
                better="lower" if one.name == HUB else "neither", labels=self._labels(one.name),
                detail="" if stays else "ended between its turns, to cost the others nothing",
            )  # fmt: skip

    def _labels(self, name: str) -> dict[str, str]:
        told = json.loads(self.detector.read_text())
        chosen = RunSettings(told["runtime"], told["precision"], told["threads"], told["workers"])
        version = "" if name == BARE else self.there[name].version
        run = "tuned" if name == HUB else str(chosen)
        return {"server": name, "version": version, "model": self.settings.model, "run": run}

    def _title(self, name: str) -> str:
        return "bare loop, a thread a core" if name == BARE else self.there[name].title

    def _cost(self, name: str, got: Taken) -> float:
        """Seconds a good answer; who gives none is out."""
        if not got.per_second:
            self.broken[name] = got.said or f"{got.failures} answers, none of them good"
        return 1 / max(got.per_second, 1e-3)

    def _sound(self, names: Iterable[str]) -> list[str]:
        """Who gave good answers in every turn; the others leave, and it is said.

        Raises:
            SessionError: the hub is not among them.
        """
        for name, said in self.broken.items():
            if name in (HUB, BARE):
                raise SessionError(f"{name} gave no good answer in a turn: {said}")
            if name in self.there:
                self.stand.skipped[self.there[name].title] = f"gave no good answer in a turn: {said}"
                self.there.pop(name).leave()
        return [name for name in names if name not in self.broken]

    def detection(self) -> Mapping[str, float]:
        """JPEG in, boxes out. Gives pictures a second by name."""
        settings = self.settings

        def variant(name: str) -> Callable[[], float]:
            def turn() -> float:
                if name == BARE:
                    got = bare_loop(self.detector, self.picture, settings.seconds)
                else:
                    got = self.there[name].detect(self.picture, settings.concurrency, settings.seconds)
                self.taken.setdefault(name, []).append(got)
                return self._cost(name, got)

            return turn

        taken = self.stand.take_turns(
            {name: variant(name) for name in (*self.there, BARE)}, settings.turns, warm_up=settings.warm_up
        )
        for name in self._sound(taken.costs):
            self._say_detection(name, [1 / cost for cost in taken.costs[name]])
        self._say_latencies()
        say, rates = self.stand.ratio, {name: 1 / taken.median(name) for name in taken.costs}
        say("hub-over-bare", "JPEG to boxes over HTTP: hub / bare loop without a server", taken, BARE, HUB, better="higher",
            detail=f"{rates[HUB]:.1f} and {rates[BARE]:.1f} pictures/s")  # fmt: skip
        peers = [name for name in self.there if name != HUB]
        for name in peers:
            say(f"hub-over/{name}", f"JPEG to boxes over HTTP: hub / {self._title(name)}", taken, name, HUB, better="higher",
                detail=f"{rates[HUB]:.1f} and {rates[name]:.1f} pictures/s", labels=self._labels(name))  # fmt: skip
        if peers:
            best = min(peers, key=taken.median)
            say("hub-over-best-peer", f"JPEG to boxes over HTTP, {settings.concurrency} in flight: hub / best peer",
                taken, best, HUB, better="higher", target=least(1.5, applies=settings.concurrency == 16, condition="16 in flight"),
                detail=f"best of {len(peers)}: {self._title(best)}, {rates[best]:.1f} against {rates[HUB]:.1f} pictures/s; "
                       f"turns {taken.spread(best, HUB)}", labels=self._labels(best))  # fmt: skip
        else:
            self.stand.skipped["hub / best peer"] = (
                "no peer took part over HTTP; to install them: python -m benchmarks.peers.setup"
            )
        return rates

    def _say_detection(self, name: str, rates: list[float]) -> None:
        turns = self.taken[name][-len(rates) :]
        labels = self._labels(name) | {"concurrency": str(self.settings.concurrency)}
        failed, ours = sum(turn.failures for turn in turns), "higher" if name == HUB else "neither"
        self.stand.add(f"detect/{_slug(name)}", f"{self._title(name)}: pictures a second", statistics.median(rates),
                       unit="1/s", kind="rate", better=ours, samples=rates, labels=labels,
                       detail=f"{failed} answers were not good" if failed else "")  # fmt: skip
        for share in (0.5, 0.99):
            samples = [turn.percentile(share) for turn in turns]
            self.stand.add(f"detect-p{share * 100:.0f}/{_slug(name)}", f"{self._title(name)}: p{share * 100:.0f} of the latency",
                           statistics.median(samples), unit="ms", kind="time", samples=samples, labels=labels,
                           better="lower" if name == HUB else "neither")  # fmt: skip

    def _say_latencies(self) -> None:
        times = {self._title(name): [one for turn in turns[self.settings.warm_up :] for one in turn.times_ms]
                 for name, turns in self.taken.items() if name not in self.broken}  # fmt: skip
        title = f"JPEG to boxes over HTTP, {self.settings.concurrency} in flight"
        self.stand.histograms.append(histogram("latency", title, times))

    def echo(self) -> None:
        """Requests that do nothing: what the servers themselves cost."""
        settings = self.settings

        def variant(one: Contestant) -> Callable[[], float]:
            return lambda: self._cost(one.name, one.echo(settings.concurrency, settings.echo_s))

        taken = self.stand.take_turns({name: variant(one) for name, one in self.there.items()}, settings.turns,
                                      warm_up=settings.warm_up)  # fmt: skip
        for name in self._sound(taken.costs):
            costs = taken.costs[name]
            self.stand.add(f"echo/{name}", f"{self._title(name)}: empty requests a second", 1 / taken.median(name), unit="1/s",
                           kind="rate", samples=[1 / cost for cost in costs], labels=self._labels(name),
                           better="higher" if name == HUB else "neither")  # fmt: skip
        if "litserve" in self.there:
            self.stand.ratio(
                "echo-hub-over-litserve", f"Empty requests, {settings.concurrency} in flight: hub / LitServe",
                taken, "litserve", HUB, better="higher", labels=self._labels("litserve"),
                target=least(1.0, applies=settings.concurrency == 16, condition="16 in flight"),
                detail=f"{1 / taken.median(HUB):.0f} and {1 / taken.median('litserve'):.0f} requests/s; "
                       f"turns {taken.spread('litserve', HUB)}")  # fmt: skip

    def curve(self, rates: Mapping[str, float]) -> None:
        """Pictures a second against requests in flight; the turns give their own point."""
        settings = self.settings
        if not settings.curve_s:
            return
        lines: dict[str, list[tuple[float, float]]] = {name: [] for name in self.there}
        for concurrency in settings.curve:
            for name, one in self.there.items():
                self.stand.say(f"{one.title}, {concurrency} in flight")
                rate = (rates[name] if concurrency == settings.concurrency
                        else one.detect(self.picture, concurrency, settings.curve_s).per_second)  # fmt: skip
                lines[name].append((concurrency, rate))
        self.stand.curves.append(
            Curve(name="throughput", title="JPEG to boxes over HTTP", x="requests in flight", y="pictures a second", log_x=True,
                  lines={self._title(name): tuple(points) for name, points in lines.items()}))  # fmt: skip


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _cameras(stand: Stand, settings: Settings, detector: Path) -> None:
    card = next(card for card in cards() if card.name == "inference")
    found = installed(card, settings.environments)
    asked = Asked(
        settings.clip, settings.shape, settings.fps, settings.camera_algorithm, settings.most_cameras, settings.tolerance,
        settings.probe_s, settings.settle_s, settings.camera_turns, settings.analysed, settings.age_ms,
    )  # fmt: skip
    pipeline = inference_pipeline(found, detector, detector.parent / "pipeline")
    held(stand, asked, settings.model, pipeline, found.version)
