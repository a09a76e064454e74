"""Sinks: what a receiver gets, and what they refuse to do."""

from __future__ import annotations

import json
import multiprocessing
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aihub.errors import ConfigError, DeliveryError, ParamsError
from aihub.events.delivery import (
    Sink,
    SinkKindNotFoundError,
    SinkParams,
    Surroundings,
    make_sink,
    sink_kinds,
)
from aihub.events.signing import sign, verify_signature
from aihub.types import uuid7
from aihub.types.addresses import AddressGuard
from tests.events.receiver import Receiver
from tests.storage.databases import an_event

SECRET = "a-secret-of-sixteen-or-more"
HERE = AddressGuard(["127.0.0.0/8"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver().start()
    yield made
    made.stop()


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path / "out", HERE, timeout_s=5.0)


Hook = Callable[[str, Surroundings], Sink[Any]]


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Makes webhooks, closed at the end."""
    made: list[Sink[Any]] = []

    def make(url: str, around: Surroundings) -> Sink[Any]:
        made.append(make_sink("webhook", {"url": url, "secret": SECRET}, around))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


def test_kinds_are_found_and_a_wrong_one_suggests() -> None:
    assert {"jsonl", "webhook"} <= set(sink_kinds())
    with pytest.raises(SinkKindNotFoundError, match="webhook"):
        make_sink("webhok", {}, Surroundings(Path()))


def test_a_kind_belongs_to_one_module() -> None:
    with pytest.raises(ConfigError, match="already owned"):
        type(
            "Other",
            (Sink,),
            {"kind": "jsonl", "deliver": lambda self, event: None, "__module__": "elsewhere"},
        )


def test_a_webhook_is_a_signed_cloud_event(receiver: Receiver, around: Surroundings, hook: Hook) -> None:
    event = an_event(label="人")
    sink = hook(receiver.url + "?desk=1", around)
    sink.deliver(event)
    (got,) = receiver.got
    assert got.path == "/hook?desk=1"
    assert got.json == event.cloud_event()
    assert got.json["specversion"] == "1.0"
    assert got.headers["Content-Type"].startswith("application/cloudevents+json")
    assert got.headers["Idempotency-Key"] == event.delivery_id == got.json["id"]
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"
    stamp, signature = got.headers["X-Aihub-Timestamp"], got.headers["X-Aihub-Signature"]
    assert verify_signature(SECRET, stamp, signature, got.body)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"secret": "another"}, "not the shared secret"),
        ({"body": b"{} "}, "the body was changed"),
        ({"timestamp": "1001"}, "the time was changed"),
        ({"timestamp": "yesterday"}, "no time"),
        ({"timestamp": "nan"}, "no time either"),
        ({"signature": "v1="}, "no signature"),
        ({"signature": "é"}, "not even ASCII"),
        ({"now": 1301.0}, "overheard and sent again later"),
        ({"now": 699.0}, "from the future"),
    ],
)
def test_signatures_that_do_not_hold(change: dict[str, Any], why: str) -> None:
    good: dict[str, Any] = {
        "secret": SECRET,
        "timestamp": "1000",
        "signature": sign(SECRET, "1000", b"{}"),
        "body": b"{}",
        "now": 1000.0,
    }
    assert verify_signature(**good)
    assert not verify_signature(**(good | change)), why


def test_one_of_several_signatures_is_enough() -> None:
    both = f"{sign('old', '1000', b'{}')}, {sign('new', '1000', b'{}')}"
    assert verify_signature("new", "1000", both, b"{}", now=1000.0)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(301, False), (400, False), (404, False), (408, True), (410, False), (425, True), (429, True), (500, True), (503, True)],
)  # fmt: skip
def test_answers_decide_whether_to_try_again(
    receiver: Receiver, around: Surroundings, status: int, retryable: bool, hook: Hook
) -> None:
    receiver.status, receiver.answer = status, b"why not"
    receiver.headers = {"Location": receiver.url}
    sink = hook(receiver.url, around)
    with pytest.raises(DeliveryError, match=f"{status}: why not") as caught:
        sink.deliver(an_event())
    assert caught.value.retryable is retryable
    assert len(receiver.got) == 1  # a redirect is not followed


def test_a_connection_is_used_again(receiver: Receiver, around: Surroundings, hook: Hook) -> None:
    sink = hook(receiver.url, around)
    for _ in range(3):
        sink.deliver(an_event())
    assert len(receiver.connections) == 1


@pytest.mark.parametrize(("delay", "drip"), [(3.0, 0.0), (0.0, 0.05)])
def test_a_slow_receiver_is_given_up_by_the_deadline(
    receiver: Receiver, tmp_path: Path, delay: float, drip: float, hook: Hook
) -> None:
    receiver.delay_s, receiver.drip_s = delay, drip
    sink = hook(receiver.url, Surroundings(tmp_path, HERE, timeout_s=0.4))
    started = time.monotonic()
    with pytest.raises(DeliveryError, match=r"within 0\.4 s"):
        sink.deliver(an_event())
    assert time.monotonic() - started < 2.0


def test_an_answer_without_end_is_not_read(receiver: Receiver, around: Surroundings, hook: Hook) -> None:
    receiver.answer = b"x" * (64 << 20)
    started = time.monotonic()
    hook(receiver.url, around).deliver(an_event())
    assert time.monotonic() - started < 2.0


def test_nobody_there_can_be_tried_again(receiver: Receiver, around: Surroundings, hook: Hook) -> None:
    url = receiver.url
    receiver.stop()
    with pytest.raises(DeliveryError) as caught:
        hook(url, around).deliver(an_event())
    assert caught.value.retryable
    receiver.start()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433", "0.0.0.0"]
)
def test_addresses_inside_are_not_reached(receiver: Receiver, tmp_path: Path, host: str, hook: Hook) -> None:
    sink = hook(f"http://{host}:{receiver.port}/", Surroundings(tmp_path))
    with pytest.raises(DeliveryError, match="must not connect") as caught:
        sink.deliver(an_event())
    assert not caught.value.retryable
    assert receiver.got == []


def test_a_name_that_changes_its_address_leads_nowhere_else(
    receiver: Receiver, tmp_path: Path, hook: Hook
) -> None:
    """The address that was checked is the one connected to, at every connection anew."""
    answers = [["127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    around = Surroundings(tmp_path, AddressGuard(["127.0.0.0/8"], resolver=resolver), timeout_s=5.0)
    receiver.headers = {"Connection": "close"}
    sink = hook(f"http://rebind.example:{receiver.port}/", around)
    sink.deliver(an_event())
    sink.deliver(an_event())
    with pytest.raises(DeliveryError, match="must not connect"):
        sink.deliver(an_event())
    assert asked == ["rebind.example"] * 3
    assert [one.headers["Host"] for one in receiver.got] == [f"rebind.example:{receiver.port}"] * 2


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, around: Surroundings, monkeypatch: pytest.MonkeyPatch, hook: Hook
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    hook(receiver.url, around).deliver(an_event())
    assert len(receiver.got) == 1


def test_tls_must_prove_the_name(receiver: Receiver, around: Surroundings, hook: Hook) -> None:
    with pytest.raises(DeliveryError) as caught:
        hook(receiver.url.replace("http:", "https:"), around).deliver(an_event())  # speaks no TLS
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"secret": SECRET}, "url"),
        ({"url": "https://x.example"}, "secret"),
        ({"url": "ftp://x.example", "secret": SECRET}, "url"),
        ({"url": "https://", "secret": SECRET}, "url"),
        ({"url": "http://0177.0.0.1", "secret": SECRET}, "url"),
        ({"url": "https://u:p@x.example", "secret": SECRET}, "url"),
        ({"url": "https://x.example:http", "secret": SECRET}, "url"),
        ({"url": "https://x.example", "secret": SECRET, "extra": 1}, "extra"),
    ],
)
def test_wrong_params_name_their_field(around: Surroundings, params: dict[str, Any], field: str) -> None:
    with pytest.raises(ParamsError) as caught:
        make_sink("webhook", params, around)
    assert caught.value.field == field


def test_a_short_secret_is_refused_and_none_is_printed(around: Surroundings, hook: Hook) -> None:
    with pytest.raises(ParamsError, match="16"):
        make_sink("webhook", {"url": "https://x.example", "secret": "short"}, around)
    assert SECRET not in repr(hook("https://x.example", around).params)


def test_json_lines_are_cloud_events(around: Surroundings) -> None:
    sink = make_sink("jsonl", {}, around)
    made = [an_event(id=uuid7(float(number)), label="人\n") for number in range(3)]
    for event in made:
        sink.deliver(event)
    path = around.out / "events.jsonl"
    assert [json.loads(line) for line in path.read_text().splitlines()] == [e.cloud_event() for e in made]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_full_files_make_room(around: Surroundings) -> None:
    sink = make_sink("jsonl", {"file": "a.jsonl", "max_bytes": 2000, "keep": 2}, around)
    made = [an_event(id=uuid7(float(number))) for number in range(12)]
    for event in made:
        sink.deliver(event)
    files = [around.out / name for name in ("a.jsonl.2", "a.jsonl.1", "a.jsonl")]
    assert all(0 < path.stat().st_size <= 2000 for path in files)
    kept = [json.loads(line)["id"] for path in files for line in path.read_text().splitlines()]
    assert kept == [event.delivery_id for event in made][-len(kept) :]  # the newest, in order
    assert not (around.out / "a.jsonl.3").exists()


@pytest.mark.parametrize(
    "name", ["../x.jsonl", "/tmp/x.jsonl", "a/b.jsonl", ".x.jsonl", "x.txt", "x.jsonl\n", ""]
)
def test_json_lines_stay_in_their_folder(around: Surroundings, name: str) -> None:
    with pytest.raises(ParamsError) as caught:
        make_sink("jsonl", {"file": name}, around)
    assert caught.value.field == "file"


def test_json_lines_follow_no_link(around: Surroundings, tmp_path: Path) -> None:
    around.out.mkdir()
    (around.out / "events.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeliveryError):
        make_sink("jsonl", {}, around).deliver(an_event())
    assert not (tmp_path / "elsewhere").exists()


def test_a_line_cut_off_spoils_only_itself(around: Surroundings) -> None:
    around.out.mkdir()
    path = around.out / "events.jsonl"
    path.write_text('{"id": "cut of')
    event = an_event()
    make_sink("jsonl", {}, around).deliver(event)
    assert json.loads(path.read_text().splitlines()[1])["id"] == event.delivery_id


def _append(out: Path, start: int) -> None:
    sink = make_sink("jsonl", {"max_bytes": 20_000, "keep": 100}, Surroundings(out))
    for number in range(start, start + 40):
        sink.deliver(an_event(id=uuid7(float(number))))


def test_two_processes_append_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(tmp_path, start)) for start in (0, 1000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    lines = [line for path in tmp_path.glob("events.jsonl*") for line in path.read_text().splitlines()]
    assert len({json.loads(line)["id"] for line in lines}) == 80


def test_a_sink_of_a_third_party_is_one_class(tmp_path: Path) -> None:
    class PrintParams(SinkParams):
        prefix: str = ""

    printed = []

    class Print(Sink[PrintParams]):
        kind = "print-in-a-test"

        def deliver(self, event: Any) -> None:
            printed.append(self.params.prefix + event.type)

    assert Print.params_type is PrintParams
    make_sink("print-in-a-test", {"prefix": "> "}, Surroundings(tmp_path)).deliver(an_event())
    assert printed == ["> intrusion"]
