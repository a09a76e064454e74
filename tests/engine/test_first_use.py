"""Trust on first use: only a person pins, what is pinned counts for good, and nothing half is left."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stamina
from pydantic import ValidationError

from aihub.engine import Engine
from aihub.engine.pins import Pins
from aihub.engine.signature import Signatures
from aihub.engine.store import ModelStore
from aihub.errors import ArtifactError, CardError, InputError, LicenseError, WeightsMissingError
from aihub.types import Artifact, Frame, ModelCard, load_card
from tests.engine.file_server import Answer, Server, self_signed, serving
from tests.engine.tiny import card_for, double_graph, mean_graph

BODY, OTHER = mean_graph(), double_graph()
SHA, OTHER_SHA = (hashlib.sha256(body).hexdigest() for body in (BODY, OTHER))
PATH = "/m.onnx"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def publisher(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Who publishes the weights, over https."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    stamina.set_testing(True, attempts=3, cap=True)  # retries without waiting
    with serving({PATH: [(200, BODY)]}, certificate=certificate) as server:
        yield server
    stamina.set_testing(False)


def card(server: Server, folder: Path, **artifact: Any) -> ModelCard:
    """A detector whose card says nothing of its digest."""
    body = {"uri": server.url + PATH, "trust": "first-use", "max_bytes": 4000, "license": "MIT", **artifact}
    made = card_for(folder, "m", BODY, detector="test-mean-box", roles=("role",), rank=1)
    return made.model_copy(update={"artifact": Artifact.model_validate(body)})


def store(tmp_path: Path, *cards: ModelCard, **options: Any) -> ModelStore:
    return ModelStore(cards, cache=tmp_path / "cache", **options)


def cached(tmp_path: Path) -> list[str]:
    """Names of the files in the cache, without the pins."""
    return sorted(path.name for path in (tmp_path / "cache").glob("*") if path.is_file())


def pinned(tmp_path: Path) -> Any:
    """What is written down, None for nothing."""
    path = tmp_path / "cache" / "pins" / "m.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_the_first_pull_pins_and_the_second_asks_nobody(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path)
    made = store(tmp_path, ours)
    assert (made.digest(ours), made.pin(ours)) == (None, None)
    steps: list[tuple[int, int]] = []
    path = made.pull("m", lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == BODY
    assert steps[-1] == (len(BODY), len(BODY)), "the server said how much comes"
    pin = pinned(tmp_path)
    assert (pin["sha256"], pin["bytes"], pin["version"]) == (SHA, len(BODY), 1)
    assert pin["uri"] == pin["origin"] == ours.artifact.uri
    assert pin["at"].endswith("Z")
    again = store(tmp_path, ours)  # another process
    assert again.pull("m") == again.path(ours) == path
    assert again.verify("m") == again.digest(ours) == SHA
    assert again.available(ours)
    assert publisher.asked == [PATH]
    assert cached(tmp_path) == [path.name]


@pytest.mark.parametrize("mirror", [False, True], ids=["publisher", "mirror"])
def test_a_hub_never_pins(publisher: Server, tmp_path: Path, mirror: bool) -> None:
    ours = card(publisher, tmp_path, mirror=PATH[1:])
    options = {"mirror": publisher.url} if mirror else {}
    made = store(tmp_path, ours, allow_downloads=True, **options)
    assert not made.available(ours)
    for attempt in (made.path, made.weights, lambda _: made.verify("m")):
        with pytest.raises(WeightsMissingError, match="aihub models pull m: its first copy is trusted"):
            attempt(ours)
    assert publisher.asked == []
    made.pull("m")
    (tmp_path / "cache" / f"m-{SHA[:16]}.onnx").unlink()
    assert made.path(ours).read_bytes() == BODY, (
        "what was pinned may be fetched again where downloads are allowed"
    )


def test_a_role_leaves_out_what_nobody_pulled(publisher: Server, tmp_path: Path) -> None:
    better = card(publisher, tmp_path).model_copy(update={"upgrade": True})
    plain = card_for(tmp_path, "plain", BODY, roles=("role",), rank=9)
    made = store(tmp_path, better, plain)
    assert made.resolve("role") == plain
    made.pull("m")
    assert made.resolve("role") == better
    assert [path.name for path in made.drop("m")] == ["m.json", f"m-{SHA[:16]}.onnx"]
    assert made.resolve("role") == plain
    assert made.drop("plain") == [], "a file that lies elsewhere stays"
    assert made.available(plain)


def test_dropping_one_leaves_others_of_a_like_name(publisher: Server, tmp_path: Path) -> None:
    made = store(tmp_path, card(publisher, tmp_path))
    made.pull("m")
    twin = tmp_path / "cache" / f"m-s-{SHA[:16]}.onnx"
    twin.touch()
    made.drop("m")
    assert cached(tmp_path) == [twin.name]


def test_changed_content_is_refused_and_told_with_both_digests(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path)
    store(tmp_path, ours).pull("m").unlink()
    before = pinned(tmp_path)
    publisher.gives(PATH, Answer(200, OTHER))
    with pytest.raises(ArtifactError, match=f"{OTHER_SHA}.*{SHA}.*aihub models pull m --repin"):
        store(tmp_path, ours).pull("m")
    assert (pinned(tmp_path), cached(tmp_path)) == (before, [])


def test_a_file_that_changed_here_is_refused_and_heals(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path)
    made = store(tmp_path, ours)
    path = made.pull("m")
    path.write_bytes(OTHER)  # of another size
    with pytest.raises(ArtifactError, match=f"{OTHER_SHA}.*{SHA} was pinned on .*--repin"):
        made.verify("m")
    assert made.pull("m").read_bytes() == BODY


CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def in_chunks(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:])) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(200, bytes(4001)), "has 4001 bytes, but its card allows 4000"),  # said beforehand
        (Answer(200, in_chunks(bytes(5000)), CHUNKED), "longer than the 4000 bytes"),  # seen while it comes
        (Answer(200, BODY, {"Content-Length": None}), "does not say how long it is"),  # cut off or whole, who knows
        (Answer(200, BODY[:-5]), "not an ONNX graph"),  # cut short by the publisher
        (Answer(200, b"<html>Please log in</html>"), "not trusted"),  # a page
        (Answer(200, b"version https://git-lfs.github.com/spec/v1\n"), "not trusted"),  # a pointer
        (Answer(200, b""), "not trusted"),
        (Answer(403), "cannot be fetched"),
        (Answer(404), "are nowhere"),
    ],
)  # fmt: skip
def test_what_is_not_trusted_leaves_nothing(
    publisher: Server, tmp_path: Path, answer: Answer, problem: str
) -> None:
    publisher.gives(PATH, answer)
    ours = card(publisher, tmp_path)
    with pytest.raises((ArtifactError, WeightsMissingError), match=problem):
        store(tmp_path, ours).pull("m")
    assert (pinned(tmp_path), cached(tmp_path)) == (None, [])


def test_chunks_that_end_are_taken(publisher: Server, tmp_path: Path) -> None:
    publisher.gives(PATH, Answer(200, in_chunks(BODY), CHUNKED))
    assert store(tmp_path, card(publisher, tmp_path)).pull("m").read_bytes() == BODY


def test_a_stated_size_holds_for_the_first_copy(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path, max_bytes=None, bytes=len(BODY) + 1)
    with pytest.raises(ArtifactError, match=f"{len(BODY)} bytes, but {len(BODY) + 1} were expected"):
        store(tmp_path, ours).pull("m")


def test_https_leads_to_https_only(publisher: Server, tmp_path: Path) -> None:
    with serving({PATH: [(200, BODY)]}) as plain:
        publisher.gives(PATH, Answer(302, b"", {"Location": plain.url + PATH}))
        with pytest.raises(ArtifactError, match="which is not https"):
            store(tmp_path, card(publisher, tmp_path)).pull("m")
        assert plain.asked == []
    publisher.gives("/there", Answer(200, BODY))
    publisher.gives(PATH, Answer(302, b"", {"Location": "/there"}))
    assert store(tmp_path, card(publisher, tmp_path)).pull("m").read_bytes() == BODY


def test_pinning_anew_is_deliberate(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path)
    serving_hub, made = store(tmp_path, ours), store(tmp_path, ours)
    old = made.pull("m")
    assert serving_hub.path(ours) == old
    for bad in (Answer(404), Answer(200, bytes(5000)), Answer(200, b"<html>")):
        publisher.gives(PATH, bad)
        with pytest.raises((ArtifactError, WeightsMissingError)):
            made.pull("m", repin=True)
        assert (pinned(tmp_path)["sha256"], cached(tmp_path)) == (SHA, [old.name])
    publisher.gives(PATH, Answer(200, OTHER))
    new = made.pull("m", repin=True)
    assert new.read_bytes() == OTHER
    assert pinned(tmp_path)["sha256"] == made.verify("m") == OTHER_SHA
    assert (serving_hub.path(ours), serving_hub.digest(ours)) == (old, SHA), (
        "a hub that serves goes on as it was"
    )
    assert store(tmp_path, ours).path(ours) == new


def test_a_digest_of_the_card_is_never_pinned(publisher: Server, tmp_path: Path) -> None:
    stated = card(publisher, tmp_path, trust="card", sha256=SHA)
    made = store(tmp_path, stated)
    with pytest.raises(InputError, match="digest of m is in its card"):
        made.pull("m", repin=True)
    assert made.pull("m").read_bytes() == BODY
    assert pinned(tmp_path) is None
    assert made.available(stated), "its size is not stated, its digest is in the name of the file"
    publisher.gives(PATH, Answer(200, bytes(4001)))
    made.drop("m")
    with pytest.raises(ArtifactError, match="allows 4000"):
        made.pull("m")


def test_a_mirror_in_a_folder_is_pinned_where_it_lies(publisher: Server, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    copy = tmp_path / "mirror" / "m.onnx"
    copy.write_bytes(BODY)
    ours = card(publisher, tmp_path, mirror="m.onnx")
    made = store(tmp_path, ours, mirror=str(tmp_path / "mirror"))
    assert not made.available(ours)
    assert made.pull("m") == copy
    assert (pinned(tmp_path)["origin"], publisher.asked, cached(tmp_path)) == (str(copy), [], [])
    copy.write_bytes(OTHER)
    with pytest.raises(ArtifactError, match=f"{OTHER_SHA}.*{SHA}"):
        made.path(ours)
    assert made.pull("m", repin=True) == copy
    assert made.digest(ours) == OTHER_SHA
    copy.write_bytes(bytes(4001))
    with pytest.raises(ArtifactError, match="has 4001 bytes"):
        made.pull("m", repin=True)


def test_a_mirror_by_address_comes_first_and_the_publisher_when_it_has_nothing(
    publisher: Server, tmp_path: Path
) -> None:
    with serving({"/a/m.onnx": [(404, b""), (200, BODY)]}) as mirror:
        ours = card(publisher, tmp_path, mirror="a/m.onnx")
        made = store(tmp_path, ours, mirror=mirror.url)
        made.pull("m")
        assert (mirror.asked, publisher.asked) == (["/a/m.onnx"], [PATH])
        made.pull("m", repin=True)
        assert pinned(tmp_path)["origin"] == mirror.url + "/a/m.onnx"


def test_death_between_file_and_pin_leaves_nothing_that_counts(
    publisher: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = card(publisher, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("aihub.engine.pins.os.fsync", _die)
        with pytest.raises(KeyboardInterrupt):
            store(tmp_path, ours).pull("m")
    assert pinned(tmp_path) is None
    made = store(tmp_path, ours)
    assert not made.available(ours)
    publisher.gives(PATH, Answer(200, OTHER))
    assert made.pull("m").read_bytes() == OTHER, "the file that was left is not believed"
    assert pinned(tmp_path)["sha256"] == OTHER_SHA


def _die(_: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', "[]"])
def test_a_damaged_pin_is_not_trusted_anew(publisher: Server, tmp_path: Path, text: str) -> None:
    ours = card(publisher, tmp_path)
    store(tmp_path, ours).pull("m")
    (tmp_path / "cache/pins/m.json").write_text(text)
    made = store(tmp_path, ours)
    assert not made.available(ours)
    for attempt in (lambda: made.path(ours), lambda: made.pull("m"), lambda: made.digest(ours)):
        with pytest.raises(ArtifactError, match=r"cannot be read.*--repin"):
            attempt()
    assert made.pull("m", repin=True).read_bytes() == BODY


@pytest.mark.parametrize("change", [{"version": 2}, {"uri": "/other.onnx"}])
def test_another_file_of_the_card_is_not_pinned_yet(
    publisher: Server, tmp_path: Path, change: dict[str, Any]
) -> None:
    ours = card(publisher, tmp_path)
    store(tmp_path, ours).pull("m")
    publisher.gives("/other.onnx", Answer(200, OTHER))
    publisher.gives(PATH, Answer(200, OTHER))
    newer = ours.model_copy(update={"version": change.get("version", 1)})
    if "uri" in change:
        newer = card(publisher, tmp_path, uri=publisher.url + change["uri"])
    made = store(tmp_path, newer)
    assert not made.available(newer)
    assert made.pull("m").read_bytes() == OTHER
    assert store(tmp_path, newer).digest(newer) == OTHER_SHA


def test_many_who_pull_at_once_fetch_and_pin_once(publisher: Server, tmp_path: Path) -> None:
    made = store(tmp_path, card(publisher, tmp_path))
    threads = [threading.Thread(target=made.pull, args=("m",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert publisher.asked == [PATH]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_of_two_processes_the_first_one_pins(
    publisher: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    ours = card(publisher, tmp_path)
    first, second = Pins(tmp_path / "pins"), Pins(tmp_path / "pins")
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    assert first.keep(ours, SHA, 10, "here", anew=False).sha256 == SHA
    assert second.keep(ours, SHA, 10, "there", anew=False).origin == "here", "the same file is no quarrel"
    with pytest.raises(ArtifactError, match=f"{OTHER_SHA}, but {SHA} was pinned"):
        second.keep(ours, OTHER_SHA, 10, "there", anew=False)
    assert [path.name for path in (tmp_path / "pins").iterdir()] == ["m.json"]


def _no_links(*_: object) -> None:
    raise OSError("this disk knows no links")


def test_a_cache_that_cannot_be_written_says_so(publisher: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pins").touch()
    with pytest.raises(ArtifactError, match=r"pin .* cannot be"):
        store(tmp_path, card(publisher, tmp_path)).pull("m")


def test_a_licence_is_asked_before_anything_comes(publisher: Server, tmp_path: Path) -> None:
    with pytest.raises(LicenseError):
        store(tmp_path, card(publisher, tmp_path, license="AGPL-3.0-only")).pull("m")
    assert publisher.asked == []


def test_the_engine_serves_what_is_pinned_and_names_it_in_evidence(publisher: Server, tmp_path: Path) -> None:
    ours = card(publisher, tmp_path)
    made = store(tmp_path, ours)
    signatures = Signatures(made)
    frame = Frame(np.full((8, 12, 3), 200, np.uint8))
    with Engine(made, threads=1) as engine:
        assert engine.missing(["role"]) == ["role"]
        assert engine.digests(["role"]) == {}
        assert signatures.known(ours) is None
        for attempt in (
            lambda: engine.metadata("role"),
            lambda: engine.tune("role"),
            lambda: signatures.of(ours),
        ):
            with pytest.raises(WeightsMissingError):
                attempt()
        store(tmp_path, ours).pull("m")  # another process: the command
        assert engine.missing(["role"]) == []
        assert engine.digests(["role"]) == {"role": SHA}
        assert engine.metadata("role") == {}
        assert signatures.of(ours) is signatures.known(ours)
        assert len(engine.detect("role", frame).result(timeout=20)) == 1


@pytest.mark.parametrize(
    ("artifact", "field", "fix"),
    [
        ({"bytes": 5}, "artifact.sha256", "trust: first-use"),
        ({"sha256": SHA}, "artifact.max_bytes", "max_bytes"),  # a size or a bound
        ({"trust": "first-use"}, "artifact.max_bytes", "max_bytes"),
        ({"trust": "first-use", "sha256": SHA, "bytes": 5}, "artifact.sha256", "leave `trust` out"),
        ({"trust": "first-use", "bytes": 5, "max_bytes": 9}, "artifact.max_bytes", "leave max_bytes out"),
        ({"trust": "first-use", "max_bytes": 0}, "artifact.max_bytes", "greater than 0"),
        ({"trust": "first-use", "max_bytes": 1 << 40}, "artifact.max_bytes", "less than or equal"),
        ({"trust": "first-use", "max_bytes": 9, "uri": "mirror:m.onnx"}, "artifact.trust", "state sha256 and bytes"),
        ({"trust": "first-use", "max_bytes": 9, "uri": "http://x/m.onnx"}, "artifact.trust", "https"),
        ({"sha256": SHA, "max_bytes": 9, "uri": "bundled:m.onnx"}, "artifact.max_bytes", "bytes is absent: state it"),
        ({"trust": "never"}, "artifact.trust", "first-use"),
    ],
)  # fmt: skip
def test_a_card_that_leaves_too_much_open_is_told_the_field_and_the_fix(
    tmp_path: Path, artifact: dict[str, Any], field: str, fix: str
) -> None:
    body = {"uri": "https://x/m.onnx", "license": "MIT", **artifact}
    path = tmp_path / "m.yaml"
    path.write_text(json.dumps({"name": "m", "task": "object-detection", "summary": "s", "artifact": body}))
    with pytest.raises(CardError, match=fix) as caught:
        load_card(path, ModelCard)
    assert caught.value.field == field
    with pytest.raises(ValidationError):
        Artifact.model_validate(body)
