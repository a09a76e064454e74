"""Suite `soak`: a hub that watches cameras for minutes or hours: does its memory grow, do handles leak, does it fall behind?

Cameras come from a server that is not ours where there is one: GStreamer's with a real clip (Debian: gir1.2-gst-rtsp-server-1.0,
python3-gi and the plugin sets), for our own simulator and our own client could agree on a mistake. It has one camera. Else
the simulator plays drawn footage; or `url` names a camera of one's own.

A slope is the median of all pairs of samples, an hour (Theil-Sen), and its interval is beside it. Slopes of short runs are
those of a hub that settles: growth has a target from ten minutes on.
"""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Literal

import httpx2
from pydantic import Field

from aihub.bench import footage
from aihub.bench.cameras import CameraServer
from aihub.bench.hub.process import RunningHub, hub_for
from aihub.bench.hub.soaking import Held, Slope, grown, held, slope
from aihub.bench.results import Curve, Kind, most
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.client import AihubClient
from aihub.errors import AihubError
from aihub.plugins import data_folder
from aihub.types import StreamState, StreamStatus

CLIP = ("video", "one-by-one-person-detection.mp4")
CLIP_S = 139.4
SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's bindings of GStreamer are for it alone."""
LONG_ENOUGH = 10.0
"""Minutes from which on growth is judged."""
LIVE_S = 60.0


class Settings(Options):
    """Settings of `soak`."""

    minutes: float = Field(60.0, ge=0.2, le=100_000, description="How long samples are taken.")
    warm_up_s: float = Field(60.0, ge=0, le=3600, description="Seconds before the first sample counts.")
    every_s: float = Field(10.0, ge=0.5, le=3600, description="Seconds from one sample to the next.")
    server: Literal["auto", "gstreamer", "simulator"] = Field(
        "auto", description="Where cameras come from; auto takes GStreamer where it is to be had."
    )
    url: str = Field("", description="rtsp:// address of a camera of one's own, in place of a server.")
    cameras: int = Field(1, ge=1, le=64, description="Cameras of the simulator.")
    algorithms: tuple[str, ...] = Field(
        ("person-detection", "intrusion", "people-counting"), min_length=1, description="What watches each."
    )
    stale_s: float = Field(2.0, gt=0, le=60, description="A result that comes later than this is stale.")


@dataclass(slots=True)
class Record:
    """What came of a soak.

    Attributes:
        samples: what the hub held.
        stale: samples at which a stream was not live, gave nothing, or gave it late.
        looked: samples times streams.
        read: frames read while samples were taken.
        analysed: frames analysed meanwhile.
        dropped: frames that were to be analysed and were not, meanwhile.
        events: that were stored, at the end.
        metrics: whether the metrics of the streams were to be had, at the end.
    """

    samples: list[Held] = field(default_factory=list)
    stale: int = 0
    looked: int = 0
    read: int = 0
    analysed: int = 0
    dropped: int = 0
    reconnects: int = 0
    events: int = 0
    metrics: bool = False


def run(stand: Stand, settings: Settings) -> None:
    """Run a hub, sample it, judge."""
    missing = [
        one for name in settings.algorithms for one in stand.engine.missing(stand.registry.get(name).models())
    ]
    if missing:
        raise NotHereError(f"the weights of {', '.join(sorted(set(missing)))} are not here")
    with (
        _cameras(stand, settings) as (urls, server),
        hub_for(stand) as hub,
        AihubClient(hub.url, hub.key) as client,
    ):
        record = watch(stand, settings, hub, client, urls)
    note(stand, settings, record, server)


def watch(stand: Stand, settings: Settings, hub: RunningHub, client: AihubClient, urls: list[str]) -> Record:
    """Add the cameras, wait until they are live, let the hub settle, then sample it until the time is over."""
    names = [f"soak-{at}" for at in range(len(urls))]
    for name, url in zip(names, urls, strict=True):
        client.add_stream(url, list(settings.algorithms), id=name)
    until = time.monotonic() + LIVE_S
    while any(_status(client, name).state != StreamState.LIVE for name in names):
        if time.monotonic() > until:
            told = {name: _status(client, name).error for name in names}
            raise AihubError(f"the cameras are not live after {LIVE_S:.0f} s: {told}")
        time.sleep(0.5)
    stand.say("settling")
    time.sleep(settings.warm_up_s)
    record, begun = Record(), time.monotonic()
    first = {name: _status(client, name) for name in names}
    last = first
    due = begun
    while time.monotonic() < begun + settings.minutes * 60:
        due += settings.every_s
        time.sleep(max(0.0, due - time.monotonic()))
        stand.say(f"minute {(time.monotonic() - begun) / 60:.1f} of {settings.minutes:g}")
        record.samples.append(held(hub, time.monotonic() - begun))
        last = {name: _status(client, name) for name in names}
        record.looked += len(names)
        record.stale += sum(is_stale(one, settings.stale_s, time.time()) for one in last.values())
        stand.pace.take()
    for name in names:
        record.read += last[name].frames_read - first[name].frames_read
        record.analysed += last[name].frames_analysed - first[name].frames_analysed
        record.dropped += sum(last[name].dropped.values()) - sum(first[name].dropped.values())
        record.reconnects += last[name].reconnects - first[name].reconnects
        record.events += sum(1 for _ in client.events(stream=name))
    said = httpx2.get(f"{hub.url}/metrics", headers={"X-API-Key": hub.key}, timeout=30.0).text
    record.metrics = "aihub_stream_frames_total" in said
    return record


def is_stale(status: StreamStatus, stale_s: float, now: float) -> bool:
    """Whether a stream is behind: not live, without results, late, or its state itself out of date.

    Args:
        status: as the hub reports it.
        stale_s: seconds that a result may take.
        now: epoch seconds.
    """
    late = status.state != StreamState.LIVE or status.fps_analysed <= 0
    return late or status.latency_ms_p95 > stale_s * 1000 or now - status.updated_at > stale_s + 1


def _status(client: AihubClient, name: str) -> StreamStatus:
    return client.stream(name).status


def note(stand: Stand, settings: Settings, record: Record, server: str) -> None:
    """Put the figures of a soak down.

    Raises:
        AihubError: nothing was sampled, or nothing analysed.
    """
    if not record.samples or not record.analysed:
        raise AihubError("the hub analysed nothing while it was watched")
    about = f"{settings.minutes:g} minutes, {len(record.samples)} samples, {record.analysed} frames analysed, {record.events} events; cameras of {server}"
    long = settings.minutes >= LONG_ENOUGH
    columns: tuple[tuple[str, str, str, Kind, list[float]], ...] = (
        ("memory", "resident memory", "MB", "memory", [one.memory_mb for one in record.samples]),
        ("handles", "open files and sockets", "", "count", [float(one.handles) for one in record.samples]),
        ("threads", "threads", "", "count", [float(one.threads) for one in record.samples]),
    )
    times = [one.at_s for one in record.samples]
    for name, title, unit, kind, values in columns:
        ends = f"{values[0]:.0f} -> {values[-1]:.0f} {unit}".strip()
        stand.add(f"growth/{name}", f"Growth of {title}: the end over the beginning", grown(values), kind=kind, better="lower",
                  target=most(1.02, applies=long, condition=f"over {LONG_ENOUGH:g} minutes or more"), detail=f"{ends}; {about}")  # fmt: skip
        found = slope(times, values)
        if found is not None:
            _add_slope(stand, name, title, unit, kind, found, ends)
        stand.curves.append(Curve(name=name, title=f"The hub's {title} over time", x="minutes", y=unit or "how many",
                                  lines={title: tuple((at / 60, value) for at, value in zip(times, values, strict=True))}))  # fmt: skip
    stand.add("stale", "Samples at which a stream was stale", record.stale, unit="", kind="count", better="lower",
              target=most(0), detail=f"of {record.looked}; stale: not live, no results, later than {settings.stale_s:g} s; {about}")  # fmt: skip
    wanted = record.analysed + record.dropped
    stand.add("analysed", "Share of the frames to be analysed that were", record.analysed / wanted, unit="",
              kind="accuracy", detail=f"{record.dropped} of {wanted} dropped; {record.read} read; {record.reconnects} reconnects")  # fmt: skip
    stand.add("metrics-missing", "Metrics of the streams missing at the end", int(not record.metrics), unit="",
              kind="count", better="lower", target=most(0))  # fmt: skip


def _add_slope(stand: Stand, name: str, title: str, unit: str, kind: Kind, found: Slope, ends: str) -> None:
    """A slope with the interval that the method gives; it is judged by the growth beside it, and never a regression."""
    figure = stand.add(f"slope/{name}", f"Slope of {title}", found.an_hour, unit=f"{unit}/h" if unit else "an hour", kind=kind, better="neither",
                       detail=f"{'rises' if found.rises else 'no rise that is sure'}; {ends}")  # fmt: skip
    stand.figures[-1] = figure.model_copy(update={"interval": (found.low, found.high)})


# Cameras.


@contextmanager
def _cameras(stand: Stand, settings: Settings) -> Iterator[tuple[list[str], str]]:
    """Addresses of the cameras, and who serves them."""
    if settings.url:
        yield [settings.url], "one's own"
        return
    lacks = gstreamer_lacks()
    if settings.server == "gstreamer" and lacks:
        raise NotHereError(lacks)
    if settings.server == "gstreamer" or (settings.server == "auto" and not lacks and _has_clip(stand)):
        minutes = settings.minutes + (settings.warm_up_s + LIVE_S) / 60
        with gstreamer(stand.media(*CLIP), minutes) as url:
            yield [url], "GStreamer"
        return
    clip = footage.yard(size=(640, 360), fps=10, seconds=40)
    with CameraServer([clip], count=settings.cameras) as server:
        yield [server.url(at) for at in range(settings.cameras)], "the simulator"


def _has_clip(stand: Stand) -> bool:
    try:
        return stand.media(*CLIP).is_file()
    except NotHereError:
        return False


def _server_file() -> Path:
    """The script that runs GStreamer's server; it is a part of the checkout, not of the package."""
    return data_folder("benchmarks").parent / "tests" / "gstreamer_server.py"


def gstreamer_lacks() -> str:
    """What GStreamer's server lacks on this machine; empty where it can be run."""
    if not _server_file().is_file():
        return "tests/gstreamer_server.py is not here: it comes with the checkout"
    if which("gst-launch-1.0") is None or not Path(SYSTEM_PYTHON).exists():
        return "GStreamer is not installed"
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, "-I", "-c", probe], capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "GStreamer's RTSP server does not answer"
    return "" if done.returncode == 0 else "GStreamer's RTSP server and its Python bindings are not installed"


@contextmanager
def gstreamer(clip: Path, minutes: float) -> Iterator[str]:
    """GStreamer's server with a clip repeated until it lasts long enough, as it is encoded; its address.

    Raises:
        AihubError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="aihub-bench-") as folder:
        long_clip = Path(folder) / "long.mp4"
        once = [f"filesrc location={clip}", "qtdemux", "h264parse", "c."]
        whole = ["concat name=c", "h264parse", "mp4mux", f"filesink location={long_clip}"]
        _launch(whole, *[once] * (int(minutes * 60 / CLIP_S) + 2), timeout_s=120 + minutes * 2)
        launch = f"( filesrc location={long_clip} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )"
        command = [SYSTEM_PYTHON, "-I", str(_server_file()), f"/clip={launch}"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            pipe = process.stdout
            line = pipe.readline() if pipe is not None and select.select([pipe], [], [], 30.0)[0] else ""
            if not line:
                raise AihubError("GStreamer's server does not start")
            yield f"rtsp://127.0.0.1:{json.loads(line)['port']}/clip"
        finally:
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=10)


def _launch(*pipelines: list[str], timeout_s: float) -> None:
    """Run GStreamer's pipelines, each a chain of elements with their properties.

    Raises:
        AihubError: they failed.
    """
    words = [
        word
        for chain in pipelines
        for at, one in enumerate(chain)
        for word in (["!"] if at else []) + one.split(" ", 1)
    ]
    try:
        subprocess.run(["gst-launch-1.0", "-q", *words], check=True, timeout=timeout_s, capture_output=True)  # noqa: S607 - from the system's path
    except subprocess.SubprocessError as error:
        raise AihubError(f"GStreamer cannot make the clip longer: {error}") from error
