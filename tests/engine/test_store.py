"""The store: only what is right, allowed and asked for gets through, and nothing goes out unasked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from aihub.engine.store import ModelStore
from aihub.errors import ArtifactError, CardError, LicenseError, ModelNotFoundError, WeightsMissingError
from aihub.types import Artifact, ModelCard, Task
from tests.engine.file_server import serving

BODY = b"weights " * 1000
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stamina.set_testing(True, attempts=3, cap=True)  # retries without waiting
    yield
    stamina.set_testing(False)


def card(name: str = "m", uri: str = "https://example.invalid/m.onnx", **changes: object) -> ModelCard:
    fields = {"roles": ("role",), "rank": 100} | {k: v for k, v in changes.items() if k in ("roles", "rank")}
    artifact = {"uri": uri, "sha256": SHA, "bytes": len(BODY), "license": "MIT"}
    artifact |= {k: v for k, v in changes.items() if k not in fields}
    return ModelCard(
        name=name,
        task=Task.OBJECT_DETECTION,
        summary="s",
        artifact=Artifact.model_validate(artifact),
        **fields,
    )


def store(tmp_path: Path, *cards: ModelCard | tuple[ModelCard, Path], **options: object) -> ModelStore:
    return ModelStore(cards, cache=tmp_path / "cache", **options)  # type: ignore[arg-type]


def test_weights_are_found_in_each_place(tmp_path: Path) -> None:
    (tmp_path / "here.onnx").write_bytes(BODY)
    (tmp_path / "mirror" / "a").mkdir(parents=True)
    (tmp_path / "mirror" / "a" / "m.onnx").write_bytes(BODY)
    beside = tmp_path / "cards" / "card.yaml"
    beside.parent.mkdir()
    beside.touch()
    (beside.parent / "m.onnx").write_bytes(BODY)
    mirror = str(tmp_path / "mirror")
    rows: list[tuple[ModelCard | tuple[ModelCard, Path], str, Path]] = [
        (card(uri=f"file:{tmp_path}/here.onnx"), "", tmp_path / "here.onnx"),  # an absolute file
        ((card(uri="file:m.onnx"), beside), "", beside.parent / "m.onnx"),  # a relative one, beside its card
        ((card(uri="bundled:m.onnx"), beside), "", beside.parent / "m.onnx"),  # shipped with the card
        (
            (card(uri="bundled:m.onnx"), beside.parent),
            "",
            beside.parent / "m.onnx",
        ),  # the card's folder will do
        (card(mirror="a/m.onnx"), mirror, tmp_path / "mirror/a/m.onnx"),  # on the mirror
        (card(uri="mirror:a/m.onnx"), mirror, tmp_path / "mirror/a/m.onnx"),  # on the mirror only
        (
            card(uri=f"file:{tmp_path}/here.onnx", mirror="a/m.onnx"),
            mirror,
            tmp_path / "mirror/a/m.onnx",
        ),  # it is first
        (
            card(uri=f"file:{tmp_path}/here.onnx", mirror="b/m.onnx"),
            mirror,
            tmp_path / "here.onnx",
        ),  # it has it not
    ]
    for entry, at, expected in rows:
        made = store(tmp_path, entry, mirror=at)
        assert made.available(made.resolve("m"))
        assert made.path(made.resolve("m")) == expected
        assert made.verify("m") == SHA


def test_weights_inside_a_wheel_are_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "wheelmodels"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "deep" / "m.onnx").write_bytes(BODY)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for uri in ("pkg:wheelmodels/deep/m.onnx", "pkg:wheelmodels.deep/m.onnx"):
        made = store(tmp_path, card(uri=uri))
        assert made.path(made.resolve("m")) == package / "deep" / "m.onnx"
    absent = store(tmp_path, card(uri="pkg:notinstalled/m.onnx"))
    with pytest.raises(WeightsMissingError, match="pip install notinstalled"):
        absent.path(absent.resolve("m"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (BODY[:-1], "bytes"),  # cut short
        (BODY + b"x", "bytes"),  # longer
        (b"X" + BODY[1:], "sha256"),  # the right size, another content
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    made = store(tmp_path, card(uri=f"file:{tmp_path}/m.onnx"))
    with pytest.raises(ArtifactError, match=problem):
        made.path(made.resolve("m"))
    with pytest.raises(ArtifactError, match=problem):
        made.verify("m")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(BODY)
    made = store(tmp_path, card(uri=f"file:{path}"))
    assert made.path(made.resolve("m")) == path
    path.write_bytes(b"X" + BODY[1:])
    with pytest.raises(ArtifactError, match="sha256"):
        made.path(made.resolve("m"))


@pytest.mark.parametrize(
    ("license", "allowed", "passes"),
    [
        ("Apache-2.0", (), True),
        ("apache-2.0", (), True),  # SPDX ids do not depend on case
        ("AGPL-3.0-only", (), False),
        ("AGPL-3.0-only", ("AGPL-3.0-only",), True),  # a person said so
        ("CC-BY-NC-4.0", ("AGPL-3.0-only",), False),  # about another one
        ("unknown", (), False),
        ("MIT AND GPL-3.0-only", (), False),  # part of a word is not the word
    ],
)
def test_licence_gate(tmp_path: Path, license: str, allowed: tuple[str, ...], passes: bool) -> None:  # noqa: A002
    (tmp_path / "m.onnx").write_bytes(BODY)
    made = store(tmp_path, card(uri=f"file:{tmp_path}/m.onnx", license=license), allow_licenses=allowed)
    assert made.available(made.resolve("m")) is passes
    if passes:
        assert made.path(made.resolve("m")).is_file()
    else:
        with pytest.raises(LicenseError, match="AIHUB_ALLOW_LICENSES"):
            made.path(made.resolve("m"))
        with pytest.raises(LicenseError):
            made.pull("m")


def test_nothing_is_fetched_unasked(tmp_path: Path) -> None:
    with serving({"/m.onnx": [(200, BODY)]}) as server:
        remote = card(uri="https://example.invalid/m.onnx")
        offline = store(tmp_path, remote)
        assert not offline.available(remote)
        with pytest.raises(WeightsMissingError, match="aihub models pull m, or set AIHUB_MODEL_MIRROR"):
            offline.path(remote)
        assert server.asked == []


def test_a_mirror_by_address_is_asked_once_and_then_the_cache_serves(tmp_path: Path) -> None:
    with serving({"/a/m.onnx": [(200, BODY)]}) as server:
        ours = card(mirror="a/m.onnx")
        made = store(tmp_path, ours, mirror=server.url + "/")
        assert made.available(ours)
        steps: list[tuple[int, int]] = []
        path = made.pull("m", lambda done, total: steps.append((done, total)))
        assert path.read_bytes() == BODY
        assert steps[-1] == (len(BODY), len(BODY))
        again = store(tmp_path, ours, mirror=server.url)
        assert again.path(ours) == path
        assert server.asked == ["/a/m.onnx"]
        assert [file.name for file in (tmp_path / "cache").iterdir()] == [
            path.name
        ]  # nothing half-done is left


def test_a_damaged_cache_heals(tmp_path: Path) -> None:
    with serving({"/m.onnx": [(200, BODY)]}) as server:
        ours = card(mirror="m.onnx")
        made = store(tmp_path, ours, mirror=server.url)
        cached = made.path(ours)
        cached.write_bytes(b"X" + BODY[1:])
        assert made.path(ours).read_bytes() == BODY


@pytest.mark.parametrize(
    ("answers", "error", "asked"),
    [
        ([(404, b"")], WeightsMissingError, 1),  # the mirror does not have it: as good as no mirror
        ([(200, BODY[:-1])], ArtifactError, 1),  # cut short
        ([(200, BODY + b"x")], ArtifactError, 1),  # endless: stopped at the first byte more
        ([(200, b"X" + BODY[1:])], ArtifactError, 1),  # something else
        ([(403, b"")], ArtifactError, 1),  # asking again does not help
        ([(503, b"")], ArtifactError, 3),  # asking again may
    ],
)
def test_bad_answers_leave_nothing(
    tmp_path: Path, answers: list[tuple[int, bytes]], error: type[Exception], asked: int
) -> None:
    with serving({"/m.onnx": answers}) as server:
        ours = card(mirror="m.onnx")
        made = store(tmp_path, ours, mirror=server.url)
        with pytest.raises(error):
            made.path(ours)
        assert len(server.asked) == asked
        assert not list((tmp_path / "cache").iterdir())
        assert made.available(ours) is (
            error is ArtifactError
        )  # after a clear no it no longer counts as there


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with serving({"/m.onnx": [(200, BODY)]}) as server:
        ours = card(mirror="m.onnx")
        with pytest.raises(ArtifactError, match="cannot be written"):
            store(tmp_path, ours, mirror=server.url).path(ours)


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with serving({"/m.onnx": [(503, b""), (200, BODY)]}) as server:
        ours = card(mirror="m.onnx")
        assert store(tmp_path, ours, mirror=server.url).path(ours).read_bytes() == BODY


def test_many_who_ask_at_once_fetch_once(tmp_path: Path) -> None:
    with serving({"/m.onnx": [(200, BODY)]}) as server:
        ours = card(mirror="m.onnx")
        made = store(tmp_path, ours, mirror=server.url)
        threads = [threading.Thread(target=made.path, args=(ours,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert server.asked == ["/m.onnx"]


def test_a_role_gives_the_best_that_is_here(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(BODY)
    best = card("best", rank=1)
    second = card("second", uri=f"file:{tmp_path}/m.onnx", rank=2)
    third = card("third", uri=f"file:{tmp_path}/m.onnx", rank=3)
    assert store(tmp_path, third, second, best).resolve("role") == second
    assert store(tmp_path, best).resolve("role") == best  # nothing is here: the best one says what to bring
    assert store(tmp_path, best, second).resolve("best") == best  # a name is a name
    upgrade = card("big", rank=0).model_copy(update={"upgrade": True})
    assert (
        store(tmp_path, best, upgrade).resolve("role") == best
    )  # an upgrade is brought by its own name only
    here = card("big", uri=f"file:{tmp_path}/m.onnx", rank=0).model_copy(update={"upgrade": True})
    assert store(tmp_path, second, here).resolve("role") == here  # and once it is here it counts
    with pytest.raises(ModelNotFoundError, match="did you mean 'second'"):
        store(tmp_path, best, second).resolve("secnd")


def test_broken_cards_are_listed_and_stop_nobody(tmp_path: Path) -> None:
    good = card("good", uri="file:m.onnx")
    text = good.model_dump_json()  # JSON is YAML
    (tmp_path / "good.yaml").write_text(text)
    (tmp_path / "twin.yaml").write_text(text)
    (tmp_path / "syntax.yaml").write_text("name: [")
    (tmp_path / "field.yaml").write_text("name: x\nnonsense: 1\n")
    (tmp_path / "escape.yaml").write_text(
        text.replace("file:m.onnx", "bundled:../m.onnx").replace("good", "escape")
    )
    (tmp_path / "scheme.yaml").write_text(
        text.replace("file:m.onnx", "ftp://x/m.onnx").replace("good", "scheme")
    )
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "training.yaml").write_text("epochs: 3\n")
    made = ModelStore.from_folder(tmp_path, cache=tmp_path / "cache")
    assert [model.name for model in made.cards()] == ["good"]
    assert all(isinstance(failure, CardError) for failure in made.failures)
    told = "\n".join(str(failure) for failure in made.failures)
    assert len(made.failures) == 5
    for name in ("twin.yaml", "syntax.yaml", "field.yaml", "escape.yaml", "scheme.yaml"):
        assert name in told
