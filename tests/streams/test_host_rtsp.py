"""The host against real RTSP: GStreamer's server, and servers that are broken on purpose."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aihub.bench.cameras import CameraServer, EncodedClip
from aihub.errors import AihubError
from aihub.streams.decoder import open_stream, open_with_ffmpeg
from aihub.streams.faults import RetryPolicy
from aihub.streams.host import StreamHost
from aihub.streams.reader import ReaderLimits
from aihub.types import AnyResult, Frame, Image, Sampling, StreamSpec, StreamState, StreamStatus
from tests.streams.conftest import SOUND, GStreamerServer, h264, h265
from tests.streams.fakes import CountingPlan, spec
from tests.streams.raw_servers import (
    SDP_SOUND,
    Handler,
    answering,
    corrupting,
    free_port,
    mute_after_play,
    saying,
    secured,
    serving,
    silent,
)

Start = Callable[..., GStreamerServer]


class Watch:
    """A host that only notes what it sees."""

    def __init__(self, **changes: Any) -> None:
        self.frames: dict[str, list[Frame]] = {}
        self.host: StreamHost[CountingPlan] = StreamHost(
            name="host",
            plan=CountingPlan,
            bind=lambda plan, wanted: {},
            on_results=self.note,
            threads=2,
            **changes,
        )

    def note(self, wanted: StreamSpec, frame: Frame, results: dict[str, AnyResult | AihubError]) -> None:
        self.frames.setdefault(wanted.id, []).append(frame)

    def status(self, stream_id: str = "gate") -> StreamStatus:
        return self.host.statuses()[stream_id]

    def count(self, stream_id: str = "gate") -> int:
        return len(self.frames.get(stream_id, []))

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> float:
        """Wait. Where nothing is promised, patiently: FFmpeg may look at a stream with sound for five seconds before it begins."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() < started + seconds, f"not in time: {self.host.statuses()}"
            time.sleep(0.02)
        return time.monotonic() - started


@pytest.fixture(params=[open_with_ffmpeg, open_stream], ids=["ffmpeg receives", "we receive"])
def watch(request: pytest.FixtureRequest) -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []

    def make(**changes: Any) -> Watch:
        made.append(Watch(**{"open_source": request.param, **changes}))
        return made[-1]

    yield make
    for one in made:
        one.host.close(1)


TEN = Sampling(fps=10)
QUICK = ReaderLimits(open_timeout_s=0.6, read_timeout_s=0.6, first_frame_s=1.0, stall_s=0.5)


@pytest.mark.gstreamer
def test_what_gstreamer_serves_is_analysed(gstreamer: Start, watch: Callable[..., Watch]) -> None:
    both = h264()[:-1] + SOUND.format(number=1) + " )"
    # A mount for each: GStreamer 1.22 may abort (gst_rtsp_media_get_rates) when two clients join one at the same moment.
    server = gstreamer({"/cam": h264(), "/udp": h264(), "/h265": h265(640, 360), "/both": both})
    seen = watch()
    streams = {
        "h264": spec("h264", server.url("/cam"), sampling=TEN),
        "h265": spec("h265", server.url("/h265"), sampling=TEN),
        "udp": spec("udp", server.url("/udp"), sampling=TEN, transport="udp"),
        "sound": spec("sound", server.url("/both"), sampling=TEN),
    }
    seen.host.sync(list(streams.values()))
    seen.until(lambda: all(seen.count(name) > 15 for name in streams))
    statuses = seen.host.statuses()
    assert {status.state for status in statuses.values()} == {StreamState.LIVE}
    assert [statuses[name].codec for name in streams] == ["H264", "H265", "H264", "H264"]
    assert (statuses["h265"].width, statuses["h265"].height) == (640, 360)
    for name in streams:
        numbers = [frame.seq for frame in seen.frames[name]]
        assert numbers == sorted(set(numbers))
        assert seen.frames[name][0].image.shape[2] == 3
    last = seen.frames["h264"][-12:]
    rate = (len(last) - 1) / (last[-1].monotonic - last[0].monotonic)
    assert rate == pytest.approx(10, rel=0.35), "25 frames a second arrive, 10 are analysed"


@pytest.mark.gstreamer
def test_gone_and_back_is_live_within_five_seconds_with_another_size(
    gstreamer: Start, watch: Callable[..., Watch]
) -> None:
    port = str(free_port())
    server = gstreamer({"/cam": h264(320, 180)}, "--port", port)
    seen = watch()
    seen.host.sync([spec(url=server.url(), sampling=TEN)])
    seen.until(lambda: seen.count() > 3)
    server.stop()
    seen.until(lambda: seen.status().state not in {StreamState.LIVE, StreamState.STALLED})
    time.sleep(3.0)
    gstreamer({"/cam": h264(640, 360)}, "--port", port)
    back = time.monotonic()
    seen.until(lambda: seen.status().state is StreamState.LIVE, 5.0)
    before = seen.count()
    seen.until(lambda: seen.count() > before, back + 5.0 - time.monotonic())
    status = seen.status()
    assert (status.width, status.height, status.error_code) == (640, 360, "")
    assert status.reconnects >= 2
    numbers = [frame.seq for frame in seen.frames["gate"]]
    assert numbers == sorted(set(numbers)), "numbers go on over the gap"


@pytest.mark.gstreamer
def test_a_wrong_password_fails_and_is_left_alone(gstreamer: Start, watch: Callable[..., Watch]) -> None:
    server = gstreamer({"/cam": h264()}, "--user", "admin", "--password", "right", "--auth", "digest")
    seen = watch()
    wrong = spec("wrong", server.url(), username="admin", password="wrong")
    seen.host.sync([wrong, spec("right", server.url(), username="admin", password="right", sampling=TEN)])
    seen.until(lambda: seen.count("right") > 2 and seen.status("wrong").state is StreamState.FAILED)
    time.sleep(1.0)
    assert (seen.status("wrong").error_code, seen.status("wrong").reconnects) == ("auth", 0)
    seen.host.sync([wrong.model_copy(update={"password": "right", "revision": 2})])
    assert seen.until(lambda: seen.status("wrong").state is StreamState.LIVE) < 3, (
        "a new password is tried at once"
    )


@pytest.mark.gstreamer
def test_broken_packets_do_not_end_a_stream(gstreamer: Start, watch: Callable[..., Watch]) -> None:
    server = gstreamer({"/cam": h264()})
    seen = watch()
    with serving(corrupting(server.port, share=0.3, seconds=2.0)) as port:
        seen.host.sync([spec(url=f"rtsp://127.0.0.1:{port}/cam", sampling=TEN)])
        seen.until(lambda: seen.count() > 3)
        time.sleep(3.0)
        before = seen.count()
        seen.until(lambda: seen.count() > before + 10, 4)
        status = seen.status()
        assert (status.state, status.reconnects) == (StreamState.LIVE, 0)
        seen.host.sync([])


@pytest.mark.gstreamer
def test_a_camera_behind_tls(gstreamer: Start, watch: Callable[..., Watch], tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 1 -subj /CN=camera"
    subprocess.run([openssl, *request.split()], check=True, capture_output=True, timeout=30)
    seen = watch()
    with serving(secured(gstreamer({"/cam": h264()}).port, certificate, key)) as port:
        seen.host.sync([spec(url=f"rtsps://127.0.0.1:{port}/cam", sampling=TEN)])
        seen.until(lambda: seen.count() > 3)
        seen.host.sync([])


ROWS: list[tuple[str, Handler, StreamState, str]] = [
    ("says nothing", silent, StreamState.BACKOFF, "connect"),
    ("says rubbish", saying(b"\x00\xff rubbish\r\n\r\n"), StreamState.BACKOFF, "connect"),
    ("has no such stream", answering(status="404 Not Found"), StreamState.FAILED, "stream-missing"),
    (
        "wants a password",
        answering(status="401 Unauthorized", WWW_Authenticate='Basic realm="r"'),
        StreamState.FAILED,
        "auth",
    ),
    ("has only sound", answering(body=SDP_SOUND), StreamState.FAILED, "format"),
    ("plays and sends nothing", mute_after_play, StreamState.BACKOFF, "connect"),
    ("describes but does not set up", answering(), StreamState.BACKOFF, "connect"),
]


def test_broken_servers_are_clear_states_and_touch_nobody_else(
    watch: Callable[..., Watch], clip: Any
) -> None:
    seen = watch(limits=QUICK, policy=RetryPolicy(tries=1), allow_files=True)
    with ExitStack() as stack:
        broken = [
            spec(f"broken{number}", f"rtsp://127.0.0.1:{stack.enter_context(serving(row[1]))}/cam")
            for number, row in enumerate(ROWS)
        ]
        refusing = spec("refused", f"rtsp://127.0.0.1:{free_port()}/cam")
        good = spec("good", f"file:{clip}?loop=1", sampling=TEN)
        started = time.monotonic()
        seen.host.sync([*broken, refusing, good])
        seen.until(lambda: seen.count("good") > 20)
        assert time.monotonic() - started < 10, "the good stream is not held up"
        seen.until(lambda: all(seen.status(one.id).error_code for one in [*broken, refusing]))
        for one, (what, _, state, code) in zip(broken, ROWS, strict=True):
            seen.until(lambda one=one, state=state: seen.status(one.id).state is state)  # type: ignore[misc]
            assert seen.status(one.id).error_code == code, what
        assert seen.status("refused").error_code == "connect"
        assert seen.host.health() is None
        seen.host.close(3)


def test_stopping_while_a_camera_is_silent_takes_no_time(watch: Callable[..., Watch]) -> None:
    seen = watch()
    with serving(silent) as port:
        seen.host.sync([spec(f"s{number}", f"rtsp://127.0.0.1:{port}/x") for number in range(8)])
        seen.until(lambda: all(s.state is StreamState.CONNECTING for s in seen.host.statuses().values()))
        started = time.monotonic()
        seen.host.sync([])
        assert time.monotonic() - started < 1.5
        seen.host.close(0.3)
        assert time.monotonic() - started < 4


@pytest.mark.gstreamer
def test_threads_do_not_pile_up_with_reconnects(gstreamer: Start, watch: Callable[..., Watch]) -> None:
    seen = watch(policy=RetryPolicy(first_s=0.05, quick_cap_s=0.05), limits=QUICK)
    before = threading.active_count()
    seen.host.sync([spec(url=f"rtsp://127.0.0.1:{free_port()}/cam")])
    seen.until(lambda: seen.status().reconnects > 10)
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize("watch", [open_stream], ids=["we receive"], indirect=True)
def test_only_key_frames_where_that_is_asked_for(gstreamer: Start, watch: Callable[..., Watch]) -> None:
    """One picture in ten, 25 a second, is a key frame; asking for all again brings all back."""
    server, seen = gstreamer({"/cam": h264()}), watch()
    keys = spec(url=server.url(), sampling=Sampling(fps=25, key_frames=True))
    seen.host.sync([keys])
    seen.until(lambda: seen.count() >= 6)
    frames = seen.frames["gate"]
    gaps = [after.monotonic - before.monotonic for before, after in pairwise(frames[1:])]
    assert 0.3 < float(np.median(gaps)) < 0.6, "10 pictures at 25 a second"
    assert seen.status().reconnects == 0
    seen.host.sync([keys.model_copy(update={"sampling": Sampling(fps=25), "revision": 2})])
    seen.until(lambda: seen.status().fps_read > 15)


@pytest.mark.parametrize("watch", [open_stream], ids=["we receive"], indirect=True)
def test_a_camera_that_changes_its_size_stays_connected(watch: Callable[..., Watch]) -> None:
    def pictures() -> Iterator[Image]:
        for number in range(40):
            size = (360, 640, 3) if number % 20 >= 10 else (180, 320, 3)
            yield np.full(size, 5 * number, np.uint8)

    seen = watch()
    with CameraServer([EncodedClip("two sizes", pictures, 10.0)]) as camera:
        seen.host.sync([spec(url=camera.url(0), sampling=TEN)])
        seen.until(
            lambda: (
                {frame.image.shape for frame in seen.frames.get("gate", [])} >= {(180, 320, 3), (360, 640, 3)}
            )
        )
        seen.until(lambda: (seen.status().width, seen.status().height) == (640, 360))
        seen.until(lambda: (seen.status().width, seen.status().height) == (320, 180))
        assert (seen.status().state, seen.status().reconnects) == (StreamState.LIVE, 0)
        seen.host.sync([])
        seen.host.close(2)
