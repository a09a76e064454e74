"""Tuning picks what is fast and right, keeps it, and never trusts a damaged file."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aihub.engine.backends import backend, backends, default_settings
from aihub.engine.machine import cores, fingerprint
from aihub.engine.measure import deviation, example_feeds
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import Backend, Feeds, Port, RunSettings, Session
from aihub.engine.tuner import Trial, Tuner, TuneReport
from aihub.errors import ConfigError, SessionError
from aihub.types import Tensor
from tests.engine.tiny import double_graph, mean_graph

DIGEST = "ab" * 32


class PacedSession(Session):
    """Doubles its input, at a known pace, with a known error."""

    attached = "paced"
    asleep = False

    def __init__(self, seconds: float, error: float, batch: int, lull: int = 0) -> None:
        first = 1 if batch == 1 else None
        self.inputs = (Port("x", np.dtype(np.float32), (first, 4)),)
        self.outputs = (Port("y", np.dtype(np.float32), (first, 4)),)
        self.seconds, self.error, self.lull = seconds, error, lull
        self.closed = False

    def run(self, feeds: Feeds) -> dict[str, Tensor]:
        self.lull -= 1
        PACE.now += self.seconds * (1.5 if self.lull >= 0 else 1)
        if self.asleep:
            time.sleep(self.seconds)
        return {"y": np.multiply(feeds["x"], np.float32(2 + 2 * self.error), dtype=np.float32)}

    def close(self) -> None:
        self.closed = True


class PacedBackend(Backend):
    """Runs take `seconds[precision]`, the first `lull` of a session half as long again; a batch `growth` times as long for each
    doubling, one on all cores `wide` times."""

    def __init__(
        self,
        name: str,
        seconds: Mapping[str, float],
        error: Mapping[str, float] | None = None,
        growth: float = 2.0,
        wide: float = 1.0,
        lull: int = 0,
    ) -> None:
        self.name, self.lull = name, lull
        self.seconds, self.error, self.growth, self.wide = seconds, error or {}, growth, wide
        self.sessions: list[PacedSession] = []
        self.refuse: set[str] = set()

    def precisions(self) -> tuple[str, ...]:
        return tuple(self.seconds)

    def load(self, model: bytes, settings: RunSettings) -> Session:
        if settings.precision in self.refuse:
            raise SessionError("refused")
        seconds = self.seconds[settings.precision] * self.growth ** np.log2(max(1, settings.batch))
        seconds *= self.wide if settings.threads > 1 else 1
        session = PacedSession(seconds, self.error.get(settings.precision, 0.0), settings.batch, self.lull)
        self.sessions.append(session)
        return session


class Pace(threading.local):
    """Time that passes in this thread by runs alone, so that a busy machine does not decide a test."""

    now = 0.0


PACE = Pace()


@pytest.fixture
def _paced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.engine.measure.perf_counter", lambda: PACE.now)


def tune(*found: PacedBackend, tmp_path: Path | None = None, **options: Any) -> TuneReport:
    book = ProfileBook(tmp_path, "machine")
    tuner = Tuner({one.name: one for one in found}, cores=2, book=book)
    return tuner.tune("model", DIGEST, b"graph", pictures=True, **({"budget_s": 3.0} | options))


@pytest.mark.usefixtures("_paced")
@pytest.mark.parametrize(
    ("rival", "wins"),
    [
        (PacedBackend("openvino", {"f32": 0.002}), "openvino f32"),  # faster and exact
        (PacedBackend("openvino", {"f32": 0.009}), "onnxruntime f32"),  # slower
        (PacedBackend("openvino", {"f32": 0.001}, {"f32": 0.02}), "onnxruntime f32"),  # faster and wrong
        (
            PacedBackend("openvino", {"bf16": 0.002}, {"bf16": 0.02}),
            "openvino bf16",
        ),  # wrong within its tolerance
        (PacedBackend("openvino", {"bf16": 0.002}, {"bf16": 0.2}), "onnxruntime f32"),  # wrong beyond it
        (
            PacedBackend("openvino", {"bf16": 0.0039}),
            "onnxruntime f32",
        ),  # not faster by enough to give accuracy away
        (
            PacedBackend("openvino", {"bf16": 0.001}, {"bf16": float("nan")}),
            "onnxruntime f32",
        ),  # not a number
    ],
)
def test_the_fastest_that_computes_the_same_wins(rival: PacedBackend, wins: str) -> None:
    report = tune(PacedBackend("onnxruntime", {"f32": 0.004}), rival, budget_s=0.6)
    assert f"{report.chosen.backend} {report.chosen.precision}" == wins
    assert (report.chosen.threads, report.chosen.parallel, report.chosen.batch) == (1, 2, 1)
    for trial in report.trials:
        assert trial.rejected or trial.items_per_s > 0
    assert all(session.closed for session in rival.sessions)


@pytest.mark.usefixtures("_paced")
@pytest.mark.usefixtures("_paced")
def test_a_neighbour_in_the_first_slices_does_not_decide() -> None:
    rival = PacedBackend("openvino", {"bf16": 0.002}, lull=400)
    report = tune(PacedBackend("onnxruntime", {"f32": 0.0025}), rival, budget_s=4.0)
    assert report.chosen.precision == "bf16"


def test_a_backend_that_refuses_is_told_and_left_out() -> None:
    rival = PacedBackend("openvino", {"f32": 0.001, "bf16": 0.001})
    rival.refuse = {"f32", "bf16"}
    report = tune(PacedBackend("onnxruntime", {"f32": 0.002}), rival, budget_s=0.6)
    assert report.chosen.backend == "onnxruntime"
    assert [trial.rejected for trial in report.trials if trial.settings.backend == "openvino"] == [
        "refused"
    ] * 2


@pytest.mark.usefixtures("_paced")
@pytest.mark.parametrize(
    ("growth", "batch"),
    [
        (2.0, 1),  # twice the items take twice the time: nothing gained
        (1.0, 4),  # a larger batch costs nothing: the largest that was offered
    ],
)
def test_a_larger_batch_must_pay(growth: float, batch: int) -> None:
    report = tune(PacedBackend("onnxruntime", {"f32": 0.003}, growth=growth), batches=(2, 4), budget_s=2.0)
    assert report.chosen.batch == batch


@pytest.mark.usefixtures("_paced")
@pytest.mark.parametrize(
    ("wide", "threads"),
    [
        (1.0, 1),  # more threads do not help: runs side by side give twice as much
        (0.47, 1),  # a little more in all, but every other model would wait
        (0.4, 2),  # clearly more
    ],
)
def test_a_run_on_all_cores_must_pay(wide: float, threads: int) -> None:
    report = tune(PacedBackend("onnxruntime", {"f32": 0.01}, wide=wide))
    assert (report.chosen.threads, report.chosen.parallel) == (threads, 3 - threads)


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PacedSession, "asleep", True)
    rivals = [PacedBackend(f"rival-{number}", {"f32": 0.02}) for number in range(10)]
    report = tune(PacedBackend("onnxruntime", {"f32": 0.02}), *rivals, budget_s=0.2)
    assert report.seconds < 5.0


@pytest.mark.usefixtures("_paced")
def test_a_rival_without_time_is_told() -> None:
    report = tune(
        PacedBackend("onnxruntime", {"f32": 0.001}), PacedBackend("x", {"f32": 0.001}), budget_s=0.0
    )
    assert report.chosen.backend == "onnxruntime"
    assert "no time" in next(trial.rejected for trial in report.trials if trial.settings.backend == "x")


@pytest.mark.usefixtures("_paced")
def test_progress_and_profile(tmp_path: Path) -> None:
    told: list[Trial] = []
    fast = PacedBackend("openvino", {"f32": 0.001})
    report = tune(
        PacedBackend("onnxruntime", {"f32": 0.004}),
        fast,
        tmp_path=tmp_path,
        budget_s=0.5,
        progress=told.append,
    )
    assert {trial.settings for trial in told} == {trial.settings for trial in report.trials}
    book = ProfileBook(tmp_path, "machine")
    assert book.find(DIGEST) == report.chosen
    assert report.profile == book.path(DIGEST)
    assert json.loads(json.dumps(report.to_json()))["chosen"] == report.chosen.to_json()
    assert ProfileBook(tmp_path, "another machine").find(DIGEST) is None
    assert book.find("cd" * 32) is None
    assert len(list(tmp_path.iterdir())) == 1  # nothing half-written is left


def test_without_a_folder_a_profile_lasts_as_long_as_the_process() -> None:
    book = ProfileBook(None, "machine")
    assert book.find(DIGEST) is None
    assert book.store(DIGEST, RunSettings(batch=2), []) is None
    assert book.find(DIGEST) == RunSettings(batch=2)


GOOD = {"format": 1, "digest": DIGEST, "machine": "machine", "settings": RunSettings().to_json()}


@pytest.mark.parametrize(
    "content",
    [
        "",  # cut off
        "{",
        "[1, 2]",  # JSON of another kind
        json.dumps(GOOD | {"format": 99}),  # from the future
        json.dumps(GOOD | {"digest": "cd" * 32}),  # of another model
        json.dumps(GOOD | {"settings": {"backend": "onnxruntime"}}),  # fields missing
        json.dumps(GOOD | {"settings": RunSettings().to_json() | {"threads": "2"}}),  # a wrong type
        json.dumps(GOOD | {"settings": RunSettings().to_json() | {"parallel": 0}}),  # out of range
        json.dumps(GOOD | {"settings": RunSettings().to_json() | {"colour": 1}}),  # a field too many
        "\udcff",  # not even text
    ],
)
def test_a_damaged_profile_is_not_used_and_can_be_replaced(tmp_path: Path, content: str) -> None:
    book = ProfileBook(tmp_path, "machine")
    path = book.path(DIGEST)
    assert path is not None
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert book.find(DIGEST) is None
    book.store(DIGEST, RunSettings(), [])
    assert book.find(DIGEST) == RunSettings()


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        ProfileBook(tmp_path / "file", "machine").store(DIGEST, RunSettings(), [])


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"y": np.array([3.0, 4.0])}, 0.0),  # the same
        ({"y": np.array([3.0, 4.5])}, 0.1),  # off by 0.5 of 5
        ({"y": np.array([3, 4])}, 0.0),  # another type, the same numbers
        ({"y": np.array([3.0])}, float("inf")),  # another shape
        ({"z": np.array([3.0, 4.0])}, float("inf")),  # another name
        ({"y": np.array([3.0, np.nan])}, float("inf")),
    ],
)
def test_deviation(outputs: dict[str, Tensor], expected: float) -> None:
    assert deviation({"y": np.array([3.0, 4.0])}, outputs) == pytest.approx(expected)


def test_example_feeds_are_what_the_ports_say() -> None:
    ports = (
        Port("picture", np.dtype(np.uint8), (None, 20, 30, 3)),
        Port("state", np.dtype(np.float32), (2, 5)),
        Port("count", np.dtype(np.int64), ()),
    )
    feeds = example_feeds(ports, 3)
    assert {name: (value.shape, value.dtype.name) for name, value in feeds.items()} == {
        "picture": ((3, 20, 30, 3), "uint8"),
        "state": ((2, 5), "float32"),
        "count": ((), "int64"),
    }
    assert feeds["picture"].std() > 20  # not an empty picture
    assert not np.array_equal(feeds["picture"][0], feeds["picture"][1])
    for free in ((None,), (1, None), (None, 3, None)):
        with pytest.raises(ConfigError, match="sizes that vary"):
            example_feeds((Port("x", np.dtype(np.float32), free),), 1)


def test_real_runtimes_agree_on_a_tiny_graph(tmp_path: Path) -> None:
    tuner = Tuner(backends(), cores=cores(), book=ProfileBook(tmp_path, fingerprint()))
    report = tuner.tune("double", DIGEST, double_graph(), pictures=False, budget_s=0.5)
    assert not [trial for trial in report.trials if "off by" in trial.rejected]
    assert report.chosen.backend in backends()


@pytest.mark.parametrize("name", sorted(backends()))
def test_backends_run_a_graph(name: str) -> None:
    with_batch = backend(name).load(double_graph(), RunSettings(name, parallel=2, batch=4))
    assert with_batch.batchable
    assert with_batch.inputs == (Port("x", np.dtype(np.float32), (None, 3)),)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert with_batch.run({"x": x})["y"].tolist() == (2 * x).tolist()
    fixed = backend(name).load(double_graph(), RunSettings(name, batch=1))
    assert fixed.inputs[0].shape == (1, 3)
    free = backend(name).load(double_graph(), RunSettings(name, batch=0))
    assert free.inputs[0].shape == (None, 3)
    assert backend(name).load(mean_graph(), RunSettings(name, batch=1)).outputs[0].shape == (1, 1, 1, 1)
    for wrong in (b"not a graph", b""):
        with pytest.raises(SessionError):
            backend(name).load(wrong, RunSettings(name))
    for feeds in ({"z": x}, {"x": x.astype(np.float64)}, {"x": np.zeros((2, 5), np.float32)}):
        with pytest.raises(SessionError):
            with_batch.run(feeds)
    with_batch.close()


def test_no_runtime_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'aihub\[cpu\]'"):
        backends(device_bytes=1)  # nobody asked for that before, so it is not remembered


def test_a_runtime_that_is_absent_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'aihub\[gpu\]'"):
        backend("tensorrt")
    assert default_settings(3).parallel in (2, 3)
