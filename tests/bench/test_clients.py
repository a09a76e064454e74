"""The load clients, against a small server that answers as it is told; and a hub that does not start."""

from __future__ import annotations

import os
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from aihub.bench.clients.arrivals import Ask, specification
from aihub.bench.clients.load import drive, request_bytes
from aihub.bench.clients.running import client
from aihub.bench.clients.seen import Seen
from aihub.bench.hub import process
from aihub.bench.hub.overload import Flood, Scene, _add
from aihub.bench.hub.process import RunningHub, running_hub
from aihub.bench.stand import Kept, Stand
from aihub.bench.suites.http import good
from aihub.errors import AihubError


class Answers(socketserver.StreamRequestHandler):
    """Keep-alive HTTP: every fourth request of the server is refused, every tenth breaks the connection."""

    def handle(self) -> None:
        while (line := self.rfile.readline()).strip():
            length = 0
            while header := self.rfile.readline().strip().lower():
                if header.startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            assert line.startswith(b"POST ")
            assert len(self.rfile.read(length)) == length
            turn = next(self.server.turns)  # type: ignore[attr-defined]
            if self.server.breaks and turn % 10 == 9:  # type: ignore[attr-defined]
                return
            status = b"429 Too Many Requests" if turn % 4 == 3 else b"200 OK"
            self.wfile.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    breaks = False


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answers) as served:
        served.turns = count()  # type: ignore[attr-defined]
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join(5)


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/v1/echo?x=1"


def test_good_answers_and_refusals_are_told_apart(server: Server) -> None:
    seen = drive(url(server), request_bytes(url(server), "k", b"body", "text/plain"), 4, 0.4)
    assert set(seen.statuses) == {"200", "429"}
    assert seen.failures == 0
    assert seen.statuses["200"] == len(seen.answered) > 2 * len(seen.refused) > 0
    assert seen.per_second == pytest.approx(len(seen.answered) / seen.seconds)
    assert 0 < seen.p50_ms <= seen.p99_ms
    assert good(seen) is seen


def test_a_broken_connection_is_a_failure_and_another_takes_its_place(server: Server) -> None:
    server.breaks = True
    seen = drive(url(server), request_bytes(url(server), "k", b"body", "text/plain"), 4, 0.4)
    assert seen.failures == seen.statuses["0"] > 0
    assert seen.statuses["200"] > seen.statuses["0"]
    with pytest.raises(AihubError, match="not all answers"):
        good(seen)


def test_clients_run_in_processes_of_their_own(server: Server, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"picture")
    where = RunningHub(url(server).partition("/v1")[0], "k", tmp_path, 0.0, os.getpid())
    seen = where.load("/v1/echo", body=tmp_path / "body", concurrency=2, seconds=0.3)
    assert seen.answered
    asks = [Ask(name, url(server), "k", str(tmp_path / "body"), 100.0) for name in ("quiet", "flood")]
    told = client("arrivals", [], 0.5, stdin=specification(asks, 0.5, seed=3))
    for one in (Seen.from_json(told["quiet"]), Seen.from_json(told["flood"])):
        # Poisson arrivals, 50 on average: within five standard deviations.
        assert 15 <= one.statuses.total() + one.unsent <= 85
        assert one.failures == 0


def test_a_client_that_fails_says_why() -> None:
    with pytest.raises(AihubError, match="unrecognized arguments: --no-such-flag"):
        client("load", ["http://x", "--no-such-flag"], 0.1)


def test_what_was_seen_survives_the_way_through_json() -> None:
    seen = Seen(2.0, [1.25, 3.5], [40.0, 60.0], Counter({"200": 2, "429": 2, "500": 1}), 7, 0.5)
    assert Seen.from_json(seen.to_json()) == seen
    assert (seen.failures, seen.refused_in_time, seen.per_second) == (1, 0.5, 1.0)


def test_the_figures_of_an_overload_are_those_of_its_turns(tmp_path: Path) -> None:
    def seen(answers: int, took: float, refusals: list[float]) -> Seen:
        return Seen(10.0, [took] * answers, refusals, Counter({"200": answers, "429": len(refusals)}))

    flood = Flood([seen(100, 50, [])] * 3, [seen(100, 100, [])] * 3,
                  [seen(95, 150, [10.0, 20.0, 30.0, 60.0]), seen(90, 300, [10.0]), seen(110, 120, [])], [seen(100, 50, [])] * 3)  # fmt: skip
    stand = Stand(tmp_path)
    scene = Scene(RunningHub("http://x", "k", tmp_path, 0.0, os.getpid()), "a", tmp_path, {})
    _add(stand, scene, flood, 10.0)
    figures = {figure.name.rpartition("/")[2]: figure for figure in stand.figures}
    assert figures["p99-over-at-capacity"].samples == (1.5, 3.0, 1.2)
    assert figures["p99-over-at-capacity"].met is True
    assert figures["refused-in-50-ms"].samples == (0.75, 1.0, 1.0)
    assert figures["throughput-over-capacity"].value == 0.95


def test_a_hub_that_does_not_start_is_an_error_that_says_why(tmp_path: Path) -> None:
    # Python itself ends at once without its library.
    with (
        pytest.raises(AihubError, match=r"(?s)did not start.*Python"),
        running_hub({"PYTHONHOME": str(tmp_path)}),
    ):
        pass


def test_a_shared_hub_loses_the_streams_and_sinks_of_a_suite_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {"camera-1", "camera-2", "webhook"}
    caller = MagicMock()
    caller.__enter__.return_value = caller
    caller.streams.side_effect = lambda: [SimpleNamespace(id=one) for one in sorted(left) if "camera" in one]
    caller.sinks.side_effect = lambda: [SimpleNamespace(id="webhook")]
    caller.delete_stream.side_effect = caller.delete_sink.side_effect = left.remove
    hub = RunningHub("http://127.0.0.1:1", "k", tmp_path, 0.0, os.getpid())
    monkeypatch.setattr(process, "running_hub", lambda *_, **__: nullcontext(hub))
    monkeypatch.setattr(process, "AihubClient", lambda *_: caller)
    with closing(Kept()) as kept:
        stand = Stand(tmp_path, kept=kept)
        with process.hub_for(stand) as first:
            assert left == {"camera-1", "camera-2", "webhook"}
        assert not left
        left.add("webhook")
        with process.hub_for(stand) as second:
            pass
        assert first is second is hub
