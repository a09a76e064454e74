"""The host on files and fakes: what is asked for runs, what goes wrong stays in its stream, and every frame is accounted for."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aihub.errors import AihubError, ConnectError
from aihub.streams.conversation import Line
from aihub.streams.decoder import Decoder, open_with_ffmpeg
from aihub.streams.host import StreamHost
from aihub.streams.probe import Probed, ProbeResult, probing
from aihub.streams.reader import ReaderLimits
from aihub.streams.sources import Source
from aihub.telemetry import exposition
from aihub.types import AnyResult, Frame, Image, Sampling, StreamSpec, StreamState
from tests.streams.fakes import GREY, CountingPlan, spec

Results = dict[str, AnyResult | AihubError]


class LiveDecoder:
    """A camera of 100 frames a second that obeys a switchboard."""

    codec = "H264"
    corrupt = 0
    heard = 0.0
    ended = False

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    def grab(self) -> bool:
        self._board.hang.wait(30)
        time.sleep(0.01)
        return not self._board.dark

    def retrieve(self) -> Image | None:
        return GREY

    def release(self) -> None:
        self._board.released += 1


class Switchboard:
    """What cameras do now."""

    def __init__(self) -> None:
        self.hang = threading.Event()
        self.hang.set()
        self.dark = False
        self.released = 0
        self.opened: list[Source] = []
        self.refuse: ConnectError | None = None

    @contextmanager
    def probe(self, source: Source, timeout_s: float) -> Iterator[Probed]:
        if self.refuse is not None:
            raise self.refuse
        yield Probed(ProbeResult(address=source.redacted(), codec="H264"))

    def open(
        self, source: Source, open_timeout_s: float, read_timeout_s: float, line: Line | None = None
    ) -> Decoder:
        self.opened.append(source)
        return LiveDecoder(self)


class Hub:
    """A host with what it was told and what came out."""

    def __init__(self, **changes: Any) -> None:
        self.board = Switchboard()
        self.plans: list[CountingPlan] = []
        self.bound: list[StreamSpec] = []
        self.seen: list[tuple[StreamSpec, Frame, float]] = []
        self.slow: Callable[[Frame], None] = lambda frame: None
        settings: dict[str, Any] = {
            "name": "host",
            "plan": self.make_plan,
            "bind": self.bind,
            "on_results": self.note,
            "threads": 2,
            "open_source": self.board.open,
            "probe": self.board.probe,
        }
        self.host: StreamHost[CountingPlan] = StreamHost(**(settings | changes))

    def make_plan(self) -> CountingPlan:
        self.plans.append(CountingPlan())
        return self.plans[-1]

    def bind(self, plan: CountingPlan, wanted: StreamSpec) -> dict[str, str]:
        self.bound.append(wanted)
        plan.tasks = [task.id for task in wanted.tasks]
        return {}

    def note(self, wanted: StreamSpec, frame: Frame, results: Results) -> None:
        self.slow(frame)
        self.seen.append((wanted, frame, time.monotonic() - frame.monotonic))

    def state(self, stream_id: str = "gate") -> StreamState:
        return self.host.statuses()[stream_id].state

    def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen in time: {self.host.statuses()}"
            time.sleep(0.01)


@pytest.fixture
def hubs() -> Iterator[Callable[..., Hub]]:
    made: list[Hub] = []

    def make(**changes: Any) -> Hub:
        made.append(Hub(**changes))
        return made[-1]

    yield make
    for hub in made:
        hub.board.hang.set()
        hub.host.close(2)


@pytest.fixture
def hub(hubs: Callable[..., Hub]) -> Hub:
    return hubs()


FAST = Sampling(fps=50)


def test_a_stream_comes_up_is_analysed_and_goes(hub: Hub) -> None:
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 20)
    status = hub.host.statuses()["gate"]
    assert (status.state, status.codec, status.width, status.height) == (StreamState.LIVE, "H264", 64, 48)
    assert (status.host, status.error_code, status.broken_tasks) == ("host", "", {})
    assert hub.host.snapshot("gate") is not None
    assert hub.host.health() is None
    hub.host.sync([])
    assert hub.host.statuses() == {}
    assert hub.host.snapshot("gate") is None
    hub.until(lambda: hub.board.released == 1)
    seen = len(hub.seen)
    time.sleep(0.1)
    assert len(hub.seen) <= seen + 1


def test_every_frame_is_accounted_for(hub: Hub) -> None:
    hub.slow = lambda frame: time.sleep(0.03)
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 20)
    hub.board.dark = True
    time.sleep(0.2)
    stream = hub.host._streams["gate"]
    tally = stream.tally
    assert tally.read >= tally.sampled
    assert tally.dropped["replaced"] > 0, "a slow analysis sees only the newest"
    assert tally.sampled == tally.analysed + sum(tally.dropped.values())


def test_no_stale_and_no_repeated_frame(hubs: Callable[..., Hub]) -> None:
    """Analysed frames are ever newer, and none is older than its budget when its analysis starts."""
    started: list[float] = []

    class Timing(CountingPlan):
        def run(self, frame: Frame) -> dict[str, Any]:
            started.append(time.monotonic() - frame.monotonic)
            time.sleep(0.02 if frame.seq % 3 else 0.15)
            return super().run(frame)

    hub = hubs(deadline_s=0.1, threads=2)
    hub.host._plan = Timing
    hub.host.sync([spec(name, sampling=FAST) for name in ("a", "b", "c")])
    time.sleep(1.2)
    for name in ("a", "b", "c"):
        numbers = [frame.seq for wanted, frame, _ in hub.seen if wanted.id == name]
        assert len(numbers) > 3
        assert all(later > earlier for earlier, later in itertools.pairwise(numbers))
    assert max(started) <= 0.11


def test_changed_tasks_keep_reader_and_plan(hub: Hub) -> None:
    first = spec(sampling=FAST)
    hub.host.sync([first])
    hub.until(lambda: len(hub.seen) > 2)
    tasks = ({"id": "a", "algorithm": "x"}, {"id": "b", "algorithm": "y"})
    hub.host.sync([spec(sampling=FAST, tasks=tasks, revision=2)])
    hub.until(lambda: hub.seen[-1][0].revision == 2)
    assert len(hub.board.opened) == 1
    assert [plan.tasks for plan in hub.plans] == [["a", "b"]]
    assert [wanted.revision for wanted in hub.bound] == [1, 2]
    hub.host.sync([spec(sampling=FAST, tasks=tasks, revision=2)])
    assert len(hub.bound) == 2, "nothing changed, nothing done"


CHANGES = [
    ({"url": "rtsp://127.0.0.1:8554/other"}, "another address"),
    ({"username": "admin"}, "another user"),
    ({"username": "u", "password": "p"}, "another password"),
    ({"transport": "udp"}, "another transport"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES, ids=[why for _, why in CHANGES])
def test_another_source_restarts_the_reader_only(hub: Hub, change: dict[str, Any], why: str) -> None:
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 2)
    hub.host.sync([spec(sampling=FAST, revision=2, **change)])
    hub.until(lambda: len(hub.board.opened) == 2 and hub.board.released == 1)
    hub.until(lambda: hub.seen[-1][0].revision == 2)
    assert len(hub.plans) == 1
    numbers = [frame.seq for _, frame, _ in hub.seen]
    assert numbers == sorted(set(numbers)), "numbers go on over the restart"


def test_pause_and_resume(hub: Hub) -> None:
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 2)
    hub.host.sync([spec(sampling=FAST, enabled=False, revision=2)])
    assert hub.state() is StreamState.PAUSED
    assert hub.host.snapshot("gate") is None
    hub.until(lambda: hub.board.released == 1)
    hub.host.sync([spec(sampling=FAST, revision=3)])
    hub.until(lambda: hub.seen[-1][0].revision == 3)
    assert len(hub.plans) == 1, "the plan kept its state"


def test_a_bad_address_is_a_state_not_a_crash(hub: Hub) -> None:
    hub.host.sync([spec("bad", url="http://x/y"), spec("file", url="/etc/passwd"), spec(sampling=FAST)])
    hub.until(lambda: hub.state() is StreamState.LIVE)
    for stream_id in ("bad", "file"):
        status = hub.host.statuses()[stream_id]
        assert (status.state, status.error_code) == (StreamState.FAILED, "address")
    hub.host.sync([spec("bad", revision=2), spec(sampling=FAST)])
    hub.until(lambda: hub.state("bad") is StreamState.LIVE)


def test_a_refusing_camera_shows_its_error_and_no_password(hub: Hub) -> None:
    hub.board.refuse = ConnectError("rtsp://admin:s3cret@h/x refuses")
    hub.host.sync([spec(username="admin", password="s3cret")])
    hub.until(lambda: hub.state() is StreamState.BACKOFF)
    status = hub.host.statuses()["gate"]
    assert status.error_code == "connect"
    assert "s3cret" not in status.model_dump_json()
    hub.board.refuse = None
    hub.until(lambda: hub.state() is StreamState.LIVE)
    assert hub.host.statuses()["gate"].reconnects >= 1


def test_one_raising_stream_hurts_only_itself(hub: Hub) -> None:
    def slow(frame: Frame) -> None:
        if frame.source == "default/bad":
            raise RuntimeError("bug in an algorithm")

    hub.slow = slow
    hub.host.sync([spec("bad", sampling=FAST), spec("good", sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 20)
    statuses = hub.host.statuses()
    assert statuses["bad"].dropped["failed"] > 5
    assert statuses["bad"].frames_analysed == 0
    assert statuses["good"].dropped.get("failed", 0) == 0


def test_one_slow_stream_does_not_starve_the_others(hub: Hub) -> None:
    hub.slow = lambda frame: time.sleep(0.3) if frame.source == "default/slow" else None
    hub.host.sync([spec("slow", sampling=FAST), *(spec(f"s{number}", sampling=FAST) for number in range(4))])
    hub.until(lambda: sum(wanted.id == "slow" for wanted, _, _ in hub.seen) >= 3)
    counts = [sum(wanted.id == f"s{number}" for wanted, _, _ in hub.seen) for number in range(4)]
    assert min(counts) >= 20


def test_no_stream_is_analysed_by_two_threads_at_once(hubs: Callable[..., Hub]) -> None:
    inside: set[str] = set()
    clashes: list[str] = []

    def look(frame: Frame) -> None:
        if frame.source in inside:
            clashes.append(frame.source)
        inside.add(frame.source)
        time.sleep(0.01)
        inside.discard(frame.source)

    hub = hubs(threads=4)
    hub.slow = look
    hub.host.sync([spec("a", sampling=FAST), spec("b", sampling=FAST)])
    hub.until(lambda: len(hub.seen) > 60)
    assert clashes == []


LIMITS = ReaderLimits(open_timeout_s=0.2, read_timeout_s=0.2, stall_s=0.15, hang_margin_s=0.2)


def test_a_hung_decoder_is_stalled_then_unhealthy_and_never_waited_for(hubs: Callable[..., Hub]) -> None:
    hub = hubs(limits=LIMITS)
    hub.host.sync([spec("hung", sampling=FAST), spec("good", sampling=FAST)])
    hub.until(lambda: hub.state("hung") is StreamState.LIVE)
    hub.board.hang.clear()
    hub.until(lambda: hub.state("hung") is StreamState.STALLED, 1)
    hub.until(lambda: hub.host.health() is not None, 2)
    assert "does not answer (read" in str(hub.host.health())
    hub.until(lambda: "does not answer" in hub.host.statuses()["hung"].error, 2)
    started = time.monotonic()
    hub.host.sync([])
    assert time.monotonic() - started < 1.5, "removing a hung stream does not wait for it"
    assert "hung" in str(hub.host.health()) or "good" in str(hub.host.health()), (
        "still to be seen after it has gone"
    )
    hub.host.close(0.3)
    assert time.monotonic() - started < 4
    hub.board.hang.set()


def assert_released(release: threading.Event) -> None:
    assert release.wait(10)


def test_an_analysis_that_hangs_makes_the_host_unhealthy(hubs: Callable[..., Hub]) -> None:
    release = threading.Event()
    hub = hubs(stuck_s=0.2)
    hub.slow = lambda frame: assert_released(release)
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: hub.host.health() is not None, 3)
    assert "analysis of gate" in str(hub.host.health())
    release.set()
    hub.until(lambda: hub.host.health() is None)


def test_a_dark_camera_stalls_and_comes_back(hubs: Callable[..., Hub]) -> None:
    hub = hubs(limits=LIMITS)
    hub.host.sync([spec(sampling=FAST)])
    hub.until(lambda: hub.state() is StreamState.LIVE)
    hub.board.dark = True
    hub.until(lambda: hub.state() in {StreamState.STALLED, StreamState.BACKOFF}, 2)
    hub.until(lambda: hub.host.statuses()["gate"].error_code in {"stall", "connect"}, 2)
    hub.board.dark = False
    hub.until(lambda: hub.state() is StreamState.LIVE, 5)


def test_sixty_four_streams_come_up_together(hub: Hub) -> None:
    started = time.monotonic()
    hub.host.sync([spec(f"s{number}", sampling=Sampling(fps=2)) for number in range(64)])
    assert time.monotonic() - started < 5
    hub.until(lambda: all(s.state is StreamState.LIVE for s in hub.host.statuses().values()), 10)
    hub.until(lambda: len({wanted.id for wanted, _, _ in hub.seen}) == 64, 10)
    assert len(hub.board.opened) == 64


def test_metrics_come_and_go_with_the_stream(hub: Hub) -> None:
    hub.host.sync([spec("metered", sampling=FAST)])
    hub.until(lambda: 'outcome="analysed",stream="metered"' in exposition(), 4)
    hub.until(lambda: 'aihub_stream_up{stream="metered"} 1.0' in exposition(), 4)  # marked once a second
    hub.until(lambda: hub.host.statuses()["metered"].fps_read > 20)
    hub.host.sync([])
    time.sleep(0.05)
    assert "metered" not in exposition()


def test_a_stream_without_tasks_is_only_looked_at_for_snapshots(hub: Hub) -> None:
    hub.host.sync([spec(sampling=FAST, tasks=())])
    hub.until(lambda: hub.host.snapshot("gate") is not None)
    time.sleep(0.5)
    assert hub.host.statuses()["gate"].frames_analysed <= 2


def test_closing_twice_is_fine_and_nothing_starts_after(hub: Hub) -> None:
    hub.host.sync([spec()])
    hub.host.close(2)
    hub.host.close(2)
    hub.host.sync([spec()])
    assert hub.host.statuses() == {}


def test_a_file_is_analysed_to_its_end(hubs: Callable[..., Hub], clip: Path) -> None:
    hub = hubs(allow_files=True, open_source=open_with_ffmpeg, probe=probing)
    hub.host.sync([spec(url=str(clip), sampling=Sampling(fps=60))])
    hub.until(lambda: hub.state() is StreamState.PAUSED, 6)
    status = hub.host.statuses()["gate"]
    assert (status.frames_read, status.error, status.codec) == (50, "the file has ended", "JPEG")
    assert status.frames_analysed >= 45
    assert 0 < status.latency_ms_p50 <= status.latency_ms_p95 < 500
