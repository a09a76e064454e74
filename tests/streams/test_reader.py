"""The reader's life, step by step, with a clock that only moves when told."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import AihubError, AuthError, ConnectError, FormatError, StallError, StreamMissingError
from aihub.streams.conversation import Line
from aihub.streams.faults import RetryPolicy
from aihub.streams.reader import Reader, ReaderLimits
from aihub.streams.sources import Source
from aihub.streams.tally import Tally
from aihub.types import Image, StreamState
from tests.streams.fakes import GREY, FakeClock, ScriptedCamera, ScriptedDecoder

SOURCE = Source("rtsp://10.0.0.7/live", "admin", "s3cret")
GOOD = [0.04] * 5


class Rig:
    """A reader on fakes, and a diary of its states."""

    def __init__(
        self,
        attempts: list[Any],
        *,
        wants: bool = True,
        limits: ReaderLimits | None = None,
        source: Source | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.camera = ScriptedCamera(self.clock, attempts, self.stop)
        self.tally = Tally("gate")
        self.delivered: list[tuple[Image, float, float]] = []
        self.states: list[tuple[StreamState, str]] = []
        self.reader = Reader(
            source or SOURCE,
            name="gate",
            wants=lambda now: wants,
            deliver=lambda *given: self.delivered.append(given),
            tally=self.tally,
            limits=limits,
            open_source=self.camera.open,
            probe=self._probe,
            clock=self.clock,
            rng=random.Random(3),
        )

    def _probe(self, source: Source, timeout_s: float) -> Any:
        self.note()
        return self.camera.probe(source, timeout_s)

    def note(self) -> None:
        view = self.reader.view()
        self.states.append((view.state, view.error_code))

    def stop(self) -> None:
        self.reader.stop()

    def run(self) -> Rig:
        self.reader.run()
        return self


S = StreamState
ROWS: list[tuple[str, list[Any], S, str, int]] = [
    # what happens                       attempts                                         then     code       frames
    ("refused once, then good", [ConnectError("refused"), [*GOOD, "end"]], S.PAUSED, "", 5),
    ("good, silent for stall_s", [[*GOOD, -5.0]], S.BACKOFF, "stall", 5),
    ("plays but never a picture", [[-5.0, -5.0]], S.BACKOFF, "connect", 0),
    ("long group of pictures: first picture after 8 s", [[-5.0, 3.0, "end"]], S.PAUSED, "", 1),
    ("one broken packet", [[*GOOD, -0.04, *GOOD, "end"]], S.PAUSED, "", 10),
    ("fifty grabs in a row fail at once", [[*GOOD, *[-0.0001] * 50]], S.BACKOFF, "stall", 5),
    ("lost before the first picture", [[-0.0001] * 50], S.BACKOFF, "connect", 0),
    ("wrong password", [AuthError("no")], S.FAILED, "auth", 0),
    ("missing, the first time", [StreamMissingError("no")], S.BACKOFF, "stream-missing", 0),
    ("missing, three times", [StreamMissingError("no")] * 3, S.FAILED, "stream-missing", 0),
    ("only sound, three times", [FormatError("no")] * 3, S.FAILED, "format", 0),
    (
        "was live, now missing four times",
        [[*GOOD, -5.0], *[StreamMissingError("no")] * 4],
        S.BACKOFF,
        "stream-missing",
        5,
    ),
    ("the decoder itself breaks", [[*GOOD, RuntimeError("bug")]], S.BACKOFF, "stream", 5),
]


@pytest.mark.parametrize(
    ("attempts", "state", "code", "frames"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_where_it_ends_up(attempts: list[Any], state: S, code: str, frames: int) -> None:
    rig = Rig(attempts)
    waited: list[S] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        rig.note()
        waited.append(rig.states[-1][0])
        if len(waited) == len(attempts):
            event.set()
        return FakeClock.wait(rig.clock, event, seconds)

    rig.clock.wait = wait  # type: ignore[method-assign]
    rig.run()
    view = rig.reader.view()
    assert (view.state, view.error_code, rig.tally.read) == (state, code, frames)
    assert all(decoder.released for decoder in rig.camera.decoders)


@pytest.mark.parametrize(
    ("key_frames", "misses", "frames", "code"),
    [
        (False, 1, 5, "stall"),  # silent for five seconds: whatever the camera sends, nothing was decoded
        (True, 1, 6, ""),  # the next key frame is ten seconds away, pictures come all the time
        (True, 7, 5, "stall"),  # none within half a minute: asked anew, the camera sends one at once
    ],
)
def test_between_key_frames_a_camera_is_not_silent(
    key_frames: bool, misses: int, frames: int, code: str
) -> None:
    rig = Rig(
        [[*GOOD, *[-5.0] * misses, 5.0, "end"]], source=Source("rtsp://127.0.0.1/x", key_frames=key_frames)
    )

    class Hearing(ScriptedDecoder):
        @property
        def heard(self) -> float:  # type: ignore[override]
            return rig.clock.now

    rig.camera.open = lambda *_: Hearing(rig.clock, rig.camera._steps)  # type: ignore[method-assign]
    rig.reader._open_source = rig.camera.open
    rig.clock.wait = lambda event, seconds: event.set() or True  # type: ignore[method-assign,func-returns-value]
    rig.run()
    assert rig.tally.read == frames
    assert (rig.reader.view().error_code, rig.reader.view().state) == (code, S.BACKOFF if code else S.PAUSED)


def test_live_means_a_decoded_frame_not_an_open_connection() -> None:
    seen: list[S] = []
    rig = Rig([])

    def note() -> None:
        seen.append(rig.reader.view().state)

    rig.camera._attempts = iter([[note, 0.04, note, "end"]])
    rig.run()
    assert seen == [S.CONNECTING, S.LIVE]


def test_what_was_wrong_stays_to_be_seen_until_live() -> None:
    rig = Rig([ConnectError("refused"), ConnectError("refused"), [*GOOD, "end"]]).run()
    assert rig.states == [(S.CONNECTING, ""), (S.CONNECTING, "connect"), (S.CONNECTING, "connect")]
    assert rig.reader.view().error_code == ""


def test_a_stuck_thread_is_reported_by_others() -> None:
    """FFmpeg does not come back: after its own time-out and the margin the stream says so, whoever asks."""
    views: list[tuple[S, str | None]] = []

    def look_after(seconds: float) -> Any:
        def look() -> None:
            rig.clock.now += seconds
            views.append((rig.reader.view().state, rig.reader.hung()))

        return look

    rig = Rig([[0.04, look_after(3.0), look_after(2.0), look_after(11.0), 0.0, "end"]])
    rig.run()
    states, stuck = zip(*views, strict=True)
    assert states == (S.LIVE, S.STALLED, S.STALLED), "late, then stalled, then hung"
    assert stuck[:2] == (None, None)
    assert "read, 16 s" in str(stuck[2])
    assert rig.reader.hung() is None, "it came back"


def test_a_stuck_open_is_reported_too() -> None:
    rig = Rig([GOOD])
    seen: list[str | None] = []

    def open_late(
        source: Source, open_timeout_s: float, read_timeout_s: float, line: Line | None = None
    ) -> ScriptedDecoder:
        rig.clock.now += 16
        seen.append(rig.reader.hung())
        raise ConnectError("late")

    rig.camera.open = open_late  # type: ignore[method-assign]
    rig.reader._open_source = open_late
    rig.run()
    assert seen == ["the decoder does not answer (open, 16 s)"]


def test_a_stop_during_a_long_pause_ends_it() -> None:
    rig = Rig([AuthError("no")])

    def wait(event: threading.Event, seconds: float) -> bool:
        event.set()
        return True

    rig.clock.wait = wait  # type: ignore[method-assign]
    rig.run()
    assert rig.tally.reconnects == {}


def test_stop_before_the_first_attempt_succeeds() -> None:
    """A stream whose first connect never works can be stopped all the same."""
    started = threading.Event()
    release = threading.Event()

    def probe(source: Source, timeout_s: float) -> Any:
        started.set()
        release.wait(10)
        raise ConnectError("silent")

    reader = Reader(
        SOURCE, name="gate", wants=lambda now: True, deliver=lambda *_: None, tally=Tally("gate"), probe=probe
    )
    reader.start()
    assert started.wait(5)
    reader.stop()
    assert reader.join(0.05) is False, "still inside, and nobody waits for it"
    release.set()
    assert reader.join(5)


def test_only_wanted_frames_are_converted() -> None:
    rig = Rig([[*GOOD, "end"]], wants=False).run()
    assert (rig.tally.read, rig.tally.sampled, rig.camera.decoders[0].retrieved) == (5, 0, 0)


def test_nothing_is_handed_over_after_a_stop() -> None:
    rig = Rig([])
    rig.camera._attempts = iter([[0.04, lambda: rig.reader.stop(), 0.04, 0.04]])
    rig.run()
    assert len(rig.delivered) == 1


def test_a_change_of_resolution_in_mid_stream() -> None:
    small, large = GREY, np.zeros((96, 128, 3), np.uint8)
    sizes: list[tuple[int, int]] = []

    def note() -> None:
        view = rig.reader.view()
        sizes.append((view.width, view.height))

    rig = Rig([[small, note, large, note, "end"]])
    rig.run()
    assert sizes == [(64, 48), (128, 96)]
    assert [picture.shape for picture, _, _ in rig.delivered] == [(48, 64, 3), (96, 128, 3)]


def test_a_flood_is_slowed() -> None:
    rig = Rig([[*[0.0001] * 2000, "end"]], limits=ReaderLimits(max_fps=100)).run()
    assert rig.tally.read == 2000
    assert rig.clock.now - 1000 == pytest.approx(15, rel=0.05), "2000 frames, 500 of them at once"


def test_the_password_is_in_no_state(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    rig = Rig([ConnectError(f"cannot open {SOURCE.joined()}")]).run()
    assert "s3cret" not in rig.reader.view().error + caplog.text
    assert "***@10.0.0.7" in rig.reader.view().error


def test_reconnects_are_counted_by_reason() -> None:
    rig = Rig([ConnectError("x"), ConnectError("x"), [*GOOD, -5.0], [*GOOD, "end"]]).run()
    assert rig.tally.reconnects == {"connect": 2, "stall": 1}


# --- when to try again -----------------------------------------------------------------------------------------------

POLICY = RetryPolicy()
PASSING = st.sampled_from([ConnectError("x"), StallError("x")])
LASTING = st.sampled_from([AuthError("x"), FormatError("x"), StreamMissingError("x")])


@given(error=PASSING, failures=st.integers(1, 10_000), trouble_s=st.floats(0, 599), seed=st.integers(0, 99))
def test_new_trouble_is_tried_often(error: AihubError, failures: int, trouble_s: float, seed: int) -> None:
    """With 3 s between attempts and one second to connect, a camera that is back is live within five."""
    retreat = POLICY.after(
        error, failures=failures, trouble_s=trouble_s, seen_live=True, rng=random.Random(seed)
    )
    assert retreat.state is StreamState.BACKOFF
    assert 0.25 <= retreat.delay_s <= 3.0


@given(error=PASSING, failures=st.integers(1, 10_000), trouble_s=st.floats(600, 1e7), seed=st.integers(0, 99))
def test_old_trouble_is_tried_seldom(error: AihubError, failures: int, trouble_s: float, seed: int) -> None:
    retreat = POLICY.after(
        error, failures=failures, trouble_s=trouble_s, seen_live=False, rng=random.Random(seed)
    )
    assert 0.25 <= retreat.delay_s <= 30.0
    if failures > 7:
        assert retreat.delay_s >= 15.0


@given(error=LASTING, failures=st.integers(3, 100), trouble_s=st.floats(0, 1e7), seed=st.integers(0, 99))
def test_what_does_not_pass_is_tried_once_a_minute(
    error: AihubError, failures: int, trouble_s: float, seed: int
) -> None:
    retreat = POLICY.after(
        error, failures=failures, trouble_s=trouble_s, seen_live=False, rng=random.Random(seed)
    )
    assert retreat.state is StreamState.FAILED
    assert 48.0 <= retreat.delay_s <= 60.0


@given(seen_live=st.booleans(), failures=st.integers(1, 50), trouble_s=st.floats(0, 1e5))
def test_a_wrong_password_is_never_tried_quickly(seen_live: bool, failures: int, trouble_s: float) -> None:
    retreat = POLICY.after(
        AuthError("x"), failures=failures, trouble_s=trouble_s, seen_live=seen_live, rng=random.Random(1)
    )
    assert retreat.delay_s >= 48.0


def test_delays_grow_and_are_jittered_downwards() -> None:
    rig = Rig([ConnectError("x")] * 6).run()
    caps = [0.5, 1, 2, 3, 3, 3]
    assert all(cap / 2 <= waited <= cap for waited, cap in zip(rig.clock.waits, caps, strict=True))
    assert len(set(rig.clock.waits)) > 4


def test_a_flapping_camera_is_not_hammered() -> None:
    """Live for a moment each time: that is the same trouble, and the delay grows."""
    rig = Rig([[*GOOD, -5.0]] * 5).run()
    assert rig.clock.waits[-1] >= 1.5


def test_a_camera_that_was_well_for_a_while_starts_anew() -> None:
    rig = Rig([ConnectError("x"), ConnectError("x"), [*[0.04] * 300, -5.0]]).run()
    assert rig.clock.waits[-1] <= 0.5


def test_an_attempt_that_took_its_time_out_has_waited_already() -> None:
    """A switch without power swallows packets: attempts follow each other, so the wait for a camera stays short."""
    rig = Rig([ConnectError("x")] * 6)
    probe = rig.camera.probe

    def slow(source: Source, timeout_s: float) -> Any:
        rig.clock.now += timeout_s
        return probe(source, timeout_s)

    rig.reader._probe = slow
    rig.run()
    assert rig.clock.waits == [0.1] * 6
