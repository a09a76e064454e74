"""What the suite `alarms` plays on: codes, cameras that say what they show, faults, a receiver."""

from __future__ import annotations

import threading
import time

import httpx2
import pytest

from aihub.bench.alarms.camera_faults import TROUBLES, Trouble, play
from aihub.bench.alarms.code_clip import CodeClip
from aihub.bench.alarms.webhooks import Receiver
from aihub.bench.cameras import CameraServer

from .conftest import SMALL, until
from .rtsp_client import client


def test_each_code_is_shown_where_the_truth_says() -> None:
    clip = CodeClip(shown_s=0.6, pause_s=0.4, count=3, fps=10)
    footage = clip.footage()
    assert len(list(footage.frames())) == 30
    assert [clip.text(index) for index in (0, 3, 4, 9, 10, 14)] == [
        "", "", "AIHUB-BENCH-00000", "AIHUB-BENCH-00000", "", "AIHUB-BENCH-00001",
    ]  # fmt: skip
    assert clip.text(34) == clip.text(4), "it begins again"
    assert [(round(one.start, 3), round(one.end, 3), one.text) for one in footage.truth] == [
        (0.4, 1.0, "AIHUB-BENCH-00000"), (1.4, 2.0, "AIHUB-BENCH-00001"), (2.4, 3.0, "AIHUB-BENCH-00002"),
    ]  # fmt: skip


def test_codes_can_be_read_and_nothing_else_can() -> None:
    reader = pytest.importorskip("zxingcpp")
    clip = CodeClip(shown_s=0.2, pause_s=0.2, count=3, fps=10)
    for index, image in enumerate(clip.footage().frames()):
        read = [code.text for code in reader.read_barcodes(image)]
        assert read == ([clip.text(index)] if clip.text(index) else [])


def test_a_camera_says_what_it_sent_and_when() -> None:
    sent: list[tuple[str, int, float]] = []
    begun = time.time()
    with (
        CameraServer([SMALL], count=2, on_sent=lambda *what: sent.append(what)) as server,
        client(server.url(1)) as one,
    ):
        one.setup()
        one.play()
        until(lambda: len(sent) > 210)
        server.fault(1, "freeze")
        until(lambda: len(sent) > 230 and len({index for _, index, _ in sent[-10:]}) == 1)
        frozen = sent[-1][1]
    assert {name for name, _, _ in sent} == {"cam2"}
    assert [index for _, index, _ in sent[:205]] == [place % 200 for place in range(205)], "round the clip"
    times = [at for _, _, at in sent]
    assert times == sorted(times)
    assert begun <= times[0] <= times[-1] <= time.time()
    assert frozen == 0, "the key picture that stands still"


def test_a_clock_that_jumps_shows_in_the_stamps_and_comes_back() -> None:
    with CameraServer([SMALL]) as server, client(server.url()) as one:
        one.setup()
        one.play()
        before = one.packets(3)[-1].timestamp
        server.fault(0, "jump", seconds=100.0)
        jumped = one.packets(200)[-1].timestamp
        server.fault(0, None)
        after = one.packets(400)[-1].timestamp
    assert 100 * 90_000 < (jumped - before) % 2**32 < 110 * 90_000
    assert (after - before) % 2**32 < 20 * 90_000


@pytest.mark.parametrize(("since", "on"), [(0.0, True), (0.9, True), (1.1, False), (2.9, False), (3.1, True)])
def test_what_comes_and_goes_is_there_for_a_third(since: float, on: bool) -> None:
    assert Trouble("drop", every_s=3.0).on(since) is on


def test_all_troubles_are_played_at_once_and_mended() -> None:
    with CameraServer([SMALL], count=len(TROUBLES) + 1) as server:
        seen: set[str] = set()
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.05):
                seen.update(f"{name} {fault.kind}" for name, fault in server.faults().items() if fault)

        watcher = threading.Thread(target=look)
        watcher.start()
        begin, end = play(server, list(TROUBLES), 0.6)
        over.set()
        watcher.join(timeout=10)
        assert set(server.faults().values()) == {None}
    assert 0.5 < end - begin < 10
    assert seen == {f"cam{number + 1} {trouble.kind}" for number, trouble in enumerate(TROUBLES.values())}


def test_the_receiver_counts_each_event_once() -> None:
    def told(state: str, stream: str, name: str) -> dict[str, object]:
        event = {"id": name, "state": state, "stream_id": stream, "key": "code/x", "data": {"text": "x"}}
        return {"data": event}

    with Receiver() as receiver, httpx2.Client(trust_env=False) as sender:
        for state, stream, name in (("opened", "a", "1"), ("closed", "a", "1"), ("opened", "b", "2")):
            answer = sender.post(
                receiver.url, json=told(state, stream, name), headers={"Idempotency-Key": f"{name}-{state}"}
            )
            assert answer.status_code == 204
        until(lambda: len(receiver.deliveries) == 3)
        (one,) = receiver.alarms(["a"])
    assert (one.camera, one.key, one.id) == ("a", "x", "1")
    assert one.at == receiver.deliveries[0].at
    assert receiver.deliveries[0].key == "1-opened"
