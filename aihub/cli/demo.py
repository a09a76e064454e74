"""`aihub demo`: simulated cameras, the whole hub, and what it sees, in one terminal."""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES, Footage
from aihub.cli.events import coloured, lasted, seen
from aihub.cli.hub import start_hub
from aihub.cli.local import hush_retries, local_settings
from aihub.cli.output import JsonFlag, console, print_json, say
from aihub.cli.stopping import stop_on_signals
from aihub.cli.streams import coloured as coloured_state
from aihub.client import AihubClient, Stream
from aihub.errors import AihubError
from aihub.serve.cluster import Cluster, free_port, port_taken
from aihub.serve.home import PreparedHome, prepare_home
from aihub.serve.runtime import Runtime
from aihub.settings import Settings
from aihub.types import Event, EventState

app = typer.Typer(add_completion=False)

PORT = 8000
PIPED = 160
"""Columns where there is no terminal."""
FEWEST_ALARMS = 2
WIDEST = 24
"""Columns for what was seen; texts and codes may be long."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One camera of the demo and what watches it."""

    name: str
    source: Path | Footage
    tasks: tuple[tuple[str, dict[str, Any]], ...]


QUALITY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("black-screen", {}),
    ("frozen-picture", {"dwell": 3}),  # the drawn faults last six seconds
    ("blurred-picture", {"dwell": 3}),
)
LOWER_HALF = [[0.0, 0.4], [1.0, 0.4], [1.0, 1.0], [0.0, 1.0]]


def real_scenes(video: Path) -> list[Scene]:
    """Four real clips of the test media; people, traffic, fire, faces."""
    return [
        Scene("warehouse", video / "worker-zone-detection_preview.mp4", (
            ("person-detection", {}), ("intrusion", {"zone": LOWER_HALF}), ("people-counting", {}))),
        Scene("street", video / "person-bicycle-car-detection_preview.mp4", (
            ("vehicle-detection", {}), ("person-detection", {}), *QUALITY)),
        Scene("yard", video / "furg_fire_house6.mp4", (("fire-smoke-detection", {}),)),
        Scene("entrance", video / "head-pose-face-detection-female-and-male_preview.mp4", (
            ("face-detection", {}), ("people-counting", {}))),
    ]  # fmt: skip


def drawn_scenes() -> list[Scene]:
    """Four scenes that the project draws itself; all weights are its own, or in an installed package."""
    return [
        Scene("gate", SCENES["codes"](), (("qr-and-barcode", {}), ("text-recognition", {}))),
        Scene("yard", SCENES["fire"](), (("fire-smoke-detection", {}), ("fire-detection", {}))),
        Scene("street", SCENES["quality"](), (("vehicle-detection", {}), *QUALITY)),
        Scene("car park", SCENES["yard"](), (
            ("person-detection", {}), ("people-counting", {}), ("illegal-parking", {"dwell": 4}))),
    ]  # fmt: skip


def scenes(settings: Settings) -> list[Scene]:
    """Real clips when both media and weights are here, else drawn scenes."""
    video = Path(settings.test_media) / "video"
    real = real_scenes(video)
    here = (
        settings.test_media
        and settings.model_mirror
        and all(Path(str(scene.source)).is_file() for scene in real)
    )
    return real if here else drawn_scenes()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model of the demo came from.

    Attributes:
        model: its name.
        source: who made it: this project with a recipe, or where it was published.
        license: SPDX id.
        algorithms: what asks it.
    """

    model: str
    source: str
    license: str
    algorithms: tuple[str, ...]


def origins(settings: Settings, algorithms: Sequence[str]) -> list[Origin]:
    """Every model that these algorithms ask here, by name."""
    asked: dict[str, list[str]] = {}
    with Runtime(settings, kind="cli") as runtime:
        for algorithm in algorithms:
            for model in runtime.registry.get(algorithm).models():
                asked.setdefault(runtime.store.resolve(model).name, []).append(algorithm)
        cards = [runtime.store.resolve(name) for name in sorted(asked)]
    return [
        Origin(
            card.name,
            f"this project, recipe {card.recipe}" if card.recipe else card.artifact.source.split(", ")[0],
            card.artifact.license,
            tuple(dict.fromkeys(asked[card.name])),
        )
        for card in cards
    ]


def origin_table(models: Sequence[Origin]) -> Table:
    """Where each model came from."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("MODEL", "FROM", "LICENCE", "ASKED BY"):
        table.add_column(name)
    for origin in models:
        table.add_row(origin.model, origin.source, origin.license, ", ".join(origin.algorithms))
    return table


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alarms of one algorithm on one stream: the last step of any, and how many have opened."""

    last: Event
    opened: int = 0


@dataclass
class Watch:
    """What the demo has seen so far. Written by the listening thread, read by the screen."""

    client: AihubClient
    opened: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    alarms: dict[tuple[str, str], Alarms] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def listen(self) -> None:
        """Follow the hub's live events until stopped, or until the hub ends after that."""
        last: int | None = None
        while not self.stop.is_set():
            with suppress(AihubError):
                for step in self.client.live(after=last, reconnect=False):
                    if self.stop.is_set():
                        return
                    last = step.seq
                    self.see(step.event)
            self.stop.wait(0.5)

    def see(self, event: Event) -> None:
        """Count an alarm that opens, and keep the step for the screen."""
        new = event.state is EventState.OPENED
        if new:
            self.opened += 1
            self.latencies_ms.append((time.time() - event.updated_at) * 1000)
        place = event.stream_id, event.algorithm
        before = self.alarms.get(place, Alarms(event))
        self.alarms = {
            **self.alarms,
            place: Alarms(event, before.opened + new),
        }  # the screen reads the old one

    def p95_ms(self) -> float | None:
        """95th percentile of frame decoded -> event received over HTTP, milliseconds."""
        if len(self.latencies_ms) < 2:
            return round(self.latencies_ms[0], 1) if self.latencies_ms else None
        return round(statistics.quantiles(self.latencies_ms, n=20, method="inclusive")[-1], 1)


def screen(streams: list[Stream], watch: Watch) -> Group:
    """The live picture: streams above, alarms below, as many as fit."""
    upper = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("STREAM", "STATE", "FPS READ", "ANALYSED", "DROPPED", "P95 MS"):
        upper.add_column(name, no_wrap=True)
    upper.add_column("WATCHED BY")
    for stream in streams:
        status = stream.status
        upper.add_row(
            stream.id, coloured_state(status.state), f"{status.fps_read:.1f}", f"{status.fps_analysed:.1f}",
            str(sum(status.dropped.values())), f"{status.latency_ms_p95:.0f}", ", ".join(t.algorithm for t in stream.tasks),
        )  # fmt: skip
    p95 = watch.p95_ms()
    delay = "" if p95 is None else f"; from camera frame to here in {p95:.0f} ms (p95)"
    heading = Text.assemble((f"{watch.opened} alarms", "bold"), delay)
    lines = len(console.render_lines(upper, pad=False)) + 6
    lower = alarm_table(watch, max(FEWEST_ALARMS, console.height - lines))
    return Group(upper, "", heading, lower, "", Text("Ctrl-C stops", style="dim"))


def alarm_table(watch: Watch, rows: int) -> Table:
    """What each algorithm saw last on each stream, newest first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("TIME", "SEVERITY", "STREAM", "ALGORITHM", "SAW", "LASTS", "ALARMS"):
        table.add_column(name, no_wrap=name != "SAW", justify="right" if name == "ALARMS" else "left")
    newest = sorted(watch.alarms.values(), key=lambda alarms: -alarms.last.updated_at)
    for alarms in newest[:rows]:
        event = alarms.last
        clock = time.strftime("%H:%M:%S", time.localtime(event.updated_at))
        lasts = {EventState.OPENED: "now", EventState.UPDATED: lasted(event)}.get(event.state, "ended")
        saw = Text(seen(event))
        saw.truncate(WIDEST, overflow="ellipsis")
        table.add_row(
            clock, coloured(event.severity), event.stream_id, event.algorithm, saw, lasts, str(alarms.opened)
        )  # fmt: skip
    return table


@app.command()
def demo(
    seconds: Annotated[
        float, typer.Option(min=1, metavar="S", help="Stop after this long.", show_default="never")
    ] = float("inf"),
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="HTTP port.", show_default="8000, or a free one"),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Start Ray, the hub and four simulated cameras; watch streams and alarms until Ctrl-C.

    Nothing stays behind: its home is a folder that is deleted at the end.
    """
    hush_retries()
    stop = stop_on_signals()
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="aihub-demo-", ignore_cleanup_errors=True)
        settings = demo_settings(Path(stack.enter_context(folder)), port)
        summary = run(settings, scenes(settings), seconds, stop, quiet=json)
    if json:
        print_json(summary)
    else:
        say(
            f"{summary['frames_analysed']} frames of {summary['streams']} streams analysed, {summary['events']} alarms"
        )


def demo_settings(home: Path, port: int | None) -> Settings:
    """Settings of a hub that leaves the hub of this machine, its port and its database alone."""
    wanted = port or (free_port() if port_taken("127.0.0.1", PORT) else PORT)
    os.environ.pop("AIHUB_DATABASE_URL", None)  # Ray's processes inherit it
    return local_settings(
        home=home, host="127.0.0.1", port=wanted, grpc_port=0, database_url=f"sqlite:///{home / 'aihub.db'}"
    )


def run(
    settings: Settings, chosen: list[Scene], seconds: float, stop: threading.Event, *, quiet: bool
) -> dict[str, Any]:
    """Start everything, show it until time is up or somebody stops it, stop everything; returns what was seen."""
    begun = time.monotonic()
    cold_start_s: float | None = None
    names = sorted({algorithm for scene in chosen for algorithm, _ in scene.tasks})
    models = origins(settings, names)
    streams: list[Stream] = []
    with ExitStack() as stack:
        prepared = prepare_home(settings)
        cameras = stack.enter_context(CameraServer([scene.source for scene in chosen]))
        cluster = Cluster(settings)
        client = stack.enter_context(AihubClient(cluster.url, prepared.admin_key))
        watch = Watch(client)
        listener = threading.Thread(target=watch.listen, name="listen", daemon=True)
        stack.callback(_end, listener)
        stack.callback(cluster.stop)
        if not quiet:
            say("starting Ray, the hub and four cameras ...")
        if start_hub(cluster, stop):
            cold_start_s = round(time.monotonic() - begun, 1)
            listener.start()
            submit(client, chosen, cameras)
            if not quiet:
                explain(cluster.url, prepared, cold_start_s, chosen)
                console.print(origin_table(models), "")
            streams = follow(client, watch, until=time.monotonic() + seconds, stop=stop, quiet=quiet)
            watch.stop.set()
        if not quiet:
            say("stopping ...")
    return {
        "streams": sum(stream.status.frames_analysed > 0 for stream in streams),
        "frames_analysed": sum(stream.status.frames_analysed for stream in streams),
        "events": watch.opened,
        "algorithms": names,
        "models": [dataclasses.asdict(origin) for origin in models],
        "event_latency_ms_p95": watch.p95_ms(),
        "cold_start_s": cold_start_s,
    }


def _end(listener: threading.Thread) -> None:
    """Wait for the listener: the hub that it listened to has ended."""
    if listener.is_alive():
        listener.join(timeout=5.0)


def submit(client: AihubClient, chosen: list[Scene], cameras: CameraServer) -> None:
    """Hand the cameras to the hub as a video platform would."""
    for index, scene in enumerate(chosen):
        tasks = [{"algorithm": algorithm, "params": params} for algorithm, params in scene.tasks]
        client.add_stream(cameras.url(index), tasks, id=scene.name.replace(" ", "-"))


def explain(url: str, prepared: PreparedHome, cold_start_s: float, chosen: list[Scene]) -> None:
    """Say what runs, what is real, and what to type in another terminal."""
    drawn = any(isinstance(scene.source, Footage) for scene in chosen)
    kind = "drawn by the project (synthetic)" if drawn else "real clips"
    say(
        ("ready", "green"), f" after {cold_start_s:.1f} s at ", (url, "bold"),
        f"; {len(chosen)} RTSP cameras, {kind}. In another terminal:\n",
    )  # fmt: skip
    say(f"  export AIHUB_URL={url}")
    say(f"  export AIHUB_KEY={prepared.admin_key}")
    say('  curl -s -H "X-API-Key: $AIHUB_KEY" "$AIHUB_URL/v1/events?limit=3"')
    say("  aihub events tail\n")


def follow(
    client: AihubClient, watch: Watch, *, until: float, stop: threading.Event, quiet: bool
) -> list[Stream]:
    """Refresh the screen until time is up or a person stops it; returns the streams as last seen."""
    streams: list[Stream] = []
    with ExitStack() as stack:
        live = None
        if not quiet and console.is_terminal:
            live = stack.enter_context(Live(console=console, refresh_per_second=4, redirect_stdout=False))
        while time.monotonic() < until and not stop.wait(0.5):
            try:
                streams = list(client.streams())
            except AihubError:
                continue
            if live is not None:
                live.update(screen(streams, watch))
    if not quiet and not console.is_terminal:
        Console(file=console.file, width=PIPED, highlight=False).print(screen(streams, watch))
    return streams
