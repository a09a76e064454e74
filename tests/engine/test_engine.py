"""The engine whole: pictures in, answers out, and what goes wrong with one model stays with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aihub.engine import Engine, ModelStore
from aihub.engine.batcher import Item
from aihub.engine.graph import prepare_graph
from aihub.engine.model import Payload, Tensors
from aihub.engine.session import RunSettings
from aihub.engine.weights import Weights
from aihub.errors import (
    CapacityError,
    CardError,
    ConfigError,
    DeadlineError,
    InputError,
    MemoryBudgetError,
    ModelNotFoundError,
    QueueFullError,
    SessionError,
    WeightsMissingError,
)
from aihub.plugins import data_folder
from aihub.telemetry import INFERENCE_REQUESTS
from aihub.types import Bill, Frame, ModelCard, Predictor
from tests.engine.tiny import card_for, double_graph, mean_graph, picky_graph


@pytest.fixture
def cards(tmp_path: Path) -> list[ModelCard]:
    return [
        card_for(tmp_path, "mean", mean_graph(), detector="test-mean-box", roles=("light",)),
        card_for(tmp_path, "double", double_graph()),
    ]


@pytest.fixture
def engine(tmp_path: Path, cards: list[ModelCard]) -> Iterator[Engine]:
    with made(tmp_path, cards) as ready:
        yield ready


def made(tmp_path: Path, cards: list[ModelCard], **options: Any) -> Engine:
    store = ModelStore(cards, cache=tmp_path / "cache")
    settings: dict[str, Any] = {"threads": 2, "profiles": tmp_path / "profiles", **options}
    return Engine(store, **settings)


def frame(value: int = 128, size: tuple[int, int] = (40, 60), source: str = "") -> Frame:
    return Frame(np.full((*size, 3), value, np.uint8), source)


def x(*values: float) -> dict[str, Any]:
    return {"x": np.array([values], np.float32)}


def test_a_picture_is_answered_in_its_own_pixels(engine: Engine) -> None:
    predictor: Predictor = engine
    found = predictor.detect("mean", frame(153)).result(20)
    assert found.names() == ["thing"]
    assert found.confidence.tolist() == pytest.approx([0.6], abs=1e-3)
    assert found.xyxy.tolist() == [[0, 0, 60, 40]]
    assert len(engine.detect("light", frame(153), confidence=0.7).result(20)) == 0  # by role, below the floor


def test_tensors_go_in_and_come_out(engine: Engine) -> None:
    answer = engine.run("double", x(1, 2, 3)).result(20)
    assert answer["y"].tolist() == [[2, 4, 6]]
    kept = answer["y"]
    engine.run("double", x(7, 7, 7)).result(20)
    assert kept.tolist() == [[2, 4, 6]]  # the answer is the caller's
    assert engine.metadata("double") == {"unit": "metre"}


def test_one_frame_is_looked_at_once(engine: Engine) -> None:
    shared = frame()
    first = engine.detect("mean", shared)
    assert engine.detect("light", shared) is first  # another name of the same model
    assert engine.detect("mean", shared, confidence=0.2) is not first
    assert engine.detect("mean", frame()) is not first


def test_many_threads_get_their_own_answers(engine: Engine) -> None:
    wrong: list[object] = []

    def ask(start: int) -> None:
        for value in range(start, start + 40):
            found = engine.detect("mean", frame(value, source=str(start)), confidence=0.01).result(20)
            if abs(float(found.confidence[0]) * 255 - value) > 0.5:
                wrong.append((value, found.confidence))

    threads = [threading.Thread(target=ask, args=(10 + 40 * number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_batches_give_each_item_its_own_answer(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards, threads=1) as engine:
        for card in cards:
            settings = RunSettings(batch=4)
            engine._assembly._book().store(str(card.artifact.sha256), settings, [])
        engine.warm(["mean", "double"])
        assert [model.settings.batch for model in engine.loaded()] == [4, 4]
        pictures = [
            engine.detect("mean", frame(value), confidence=value / 510) for value in range(10, 250, 10)
        ]
        tensors = [engine.run("double", x(value, 0, 0)) for value in range(30)]
        two_rows = engine.run("double", {"x": np.ones((2, 3), np.float32)})
        assert [round(float(future.result(20).confidence[0]) * 255) for future in pictures] == [
            *range(10, 250, 10)
        ]
        assert [future.result(20)["y"][0, 0] for future in tensors] == [2 * value for value in range(30)]
        assert two_rows.result(20)["y"].shape == (2, 3)


def test_the_seconds_of_a_batch_are_split_among_its_bills(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards, threads=1) as engine:
        engine.warm(["mean", "double"])
        live = engine._memory.lease("double")
        assert live is not None
        live.batch = 4
        bills = [Bill() for _ in range(3)]
        batch = [
            Item[Payload](Tensors(x(1, 2, 3)), "a/1", "g", None, 0.0, bill=bill) for bill in [*bills, None]
        ]
        began = time.perf_counter()
        live.run(batch)
        took = time.perf_counter() - began
        first = bills[0].spent
        assert set(first) == {"double"}
        assert all(bill.spent == first for bill in bills)
        assert 0 < 4 * first["double"] <= took
        engine._memory.release("double")
        seen = Frame(frame().image, "a/1", bill=bills[0])
        engine.detect("mean", seen).result(20)
        engine.run("double", x(1, 2, 3), bill=bills[1]).result(20)
        assert set(bills[0].spent) == {"double", "mean"}
        assert bills[1].total > bills[2].total


def test_cancelled_work_is_not_run(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards, threads=1, max_queue=1) as engine:
        waiting = engine.run("double", x(1, 2, 3), source="a/1")  # the model is not loaded yet
        if waiting.cancel():  # it may have been quick
            assert engine.run("double", x(4, 5, 6), source="a/1").result(20)["y"].tolist() == [[8, 10, 12]]


def test_a_bad_item_of_a_batch_spoils_only_itself(tmp_path: Path) -> None:
    card = card_for(tmp_path, "picky", picky_graph())
    with made(tmp_path, [card], threads=1) as engine:
        engine._assembly._book().store(str(card.artifact.sha256), RunSettings(batch=8), [])
        engine.warm(["picky"])
        futures = [engine.run("picky", {"x": np.array([[value]])}) for value in (1, 99, 2, 3)]
        good = [future.result(20)["y"][0, 0] for future in (futures[0], *futures[2:])]
        assert good == [1, 2, 3]
        with pytest.raises(SessionError):
            futures[1].result(20)


def error_of(future: Future[Any]) -> BaseException | None:
    return future.exception(20)


def test_every_error_comes_through_the_future(tmp_path: Path, cards: list[ModelCard]) -> None:
    absent = cards[0].model_copy(
        update={
            "name": "absent",
            "artifact": cards[0].artifact.model_copy(update={"uri": "https://x.invalid/x"}),
        }
    )
    broken = card_for(tmp_path, "broken", b"not a graph")
    misfit = card_for(tmp_path, "misfit", mean_graph((16, 16)), detector="test-mean-box")
    faulty = card_for(tmp_path, "faulty", mean_graph(), detector="test-faulty")
    no_decoder = cards[0].model_copy(update={"name": "no-decoder", "decoder": None})
    with made(tmp_path, [*cards, absent, broken, misfit, faulty, no_decoder]) as engine:
        rows: list[tuple[Future[Any], type[Exception]]] = [
            (engine.detect("meen", frame()), ModelNotFoundError),  # with the nearest name
            (engine.run("meen", x(1, 2, 3)), ModelNotFoundError),
            (engine.detect("double", frame()), ConfigError),  # takes no pictures
            (engine.detect("no-decoder", frame()), ConfigError),  # nobody reads its outputs
            (engine.detect("absent", frame()), WeightsMissingError),
            (engine.run("broken", x(1, 2, 3)), SessionError),
            (engine.detect("misfit", frame()), CardError),  # the card says another size
            (engine.detect("faulty", frame(250)), SessionError),  # a bug in a drop-in
            (engine.run("double", {"z": np.zeros((1, 3), np.float32)}), InputError),  # no such input
            (engine.run("double", {"x": np.zeros((1, 5), np.float32)}), SessionError),  # a wrong shape
            (engine.run("double", {"x": np.zeros((1, 3), np.float64)}), SessionError),  # a wrong type
            (engine.run("double", {}), InputError),
            (engine.detect("mean", frame(), deadline=time.monotonic() - 1), DeadlineError),
        ]
        for future, kind in rows:
            assert isinstance(error_of(future), kind), (error_of(future), kind)
        assert "did you mean 'mean'" in str(error_of(rows[0][0]))
        assert len(engine.detect("mean", frame()).result(20)) == 1  # and the others work
        assert len(engine.detect("faulty", frame(20)).result(20)) == 0
        assert engine.missing(["mean", "light", "absent", "nobody"]) == ["absent", "nobody"]
        assert engine.health() is None


def test_a_load_that_failed_is_not_tried_for_every_frame(tmp_path: Path) -> None:
    with made(tmp_path, [card_for(tmp_path, "broken", b"not a graph")]) as engine:
        loads: list[str] = []
        load = engine._loader._load

        def counted(name: str) -> None:
            loads.append(name)
            load(name)

        engine._loader._load = counted
        first = error_of(engine.run("broken", x(1)))
        again = [error_of(engine.run("broken", x(1))) for _ in range(50)]
        assert {(type(error), str(error)) for error in again} == {(SessionError, str(first))}
        assert (
            len({id(error) for error in again}) == 50
        )  # one shared error would collect everyone's traceback
        assert len(loads) < 5


def test_a_role_moves_to_better_weights_when_they_come(tmp_path: Path) -> None:
    second = card_for(tmp_path, "second", mean_graph(), detector="test-mean-box", roles=("light",), rank=2)
    first = second.model_copy(
        update={
            "name": "first",
            "rank": 1,
            "artifact": second.artifact.model_copy(update={"uri": f"file:{tmp_path}/later.onnx"}),
        }
    )
    with made(tmp_path, [first, second]) as engine:
        assert engine.digests(["light"]) == {"light": second.artifact.sha256}
        assert engine._card("light").name == "second"
        (tmp_path / "later.onnx").write_bytes(mean_graph())
        engine._aliases.clear()  # as after some seconds
        assert engine._card("light").name == "first"
        with pytest.raises(ModelNotFoundError):
            engine.digests(["nobody"])


def test_models_take_turns_under_a_small_budget(tmp_path: Path) -> None:
    """More models than fit, asked for at once and again and again: all answer, and the budget holds."""
    cards = [card_for(tmp_path, f"double-{number}", double_graph(width=3 + number)) for number in range(4)]
    with made(tmp_path, cards, budget_bytes=1 << 62) as engine:
        engine.warm([cards[0].name])
        size = max(engine.loaded()[0].bytes, 1 << 20)
    with made(tmp_path, cards, budget_bytes=64 * size) as engine:
        for card in cards:  # pretend that two fill the budget
            engine._assembly._sizes[card.name] = 1
        assemble = engine._assembly.assemble

        def heavy(card: ModelCard, weights: Weights) -> Any:
            live = assemble(card, weights)
            live.bytes = 30 * size
            return live

        engine._assembly.assemble = heavy  # type: ignore[method-assign]
        for _ in range(3):
            answers = [
                engine.run(card.name, {"x": np.ones((1, 3 + at), np.float32)})
                for at, card in enumerate(cards)
            ]
            assert [answer.result(30)["y"].shape[1] for answer in answers] == [3, 4, 5, 6]
            assert 1 <= len(engine.loaded()) <= 2
        engine.pin("double-0")
        engine.warm(["double-0"])
        engine.pin("double-1")
        engine.warm(["double-1"])
        assert [model.pinned for model in engine.loaded()] == [True, True]
        assert isinstance(error_of(engine.run("double-2", x(1, 2, 3, 4, 5))), MemoryBudgetError)
        engine.unpin("double-1")
        engine._loader.forgive("double-2")
        assert engine.run("double-2", x(1, 2, 3, 4, 5)).result(20)
        assert {model.name for model in engine.loaded()} == {"double-0", "double-2"}


def test_a_full_queue_refuses_at_once_and_the_rest_is_served(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards, max_queue=3) as engine:
        before = INFERENCE_REQUESTS.labels("double", "refused")._value.get()
        futures = [engine.run("double", x(value, 0, 0)) for value in range(200)]  # it is still being loaded
        refused = [
            future for future in futures if future.done() and isinstance(future.exception(), QueueFullError)
        ]
        assert refused
        for future in futures:
            if future not in refused:
                assert future.result(20)
        assert INFERENCE_REQUESTS.labels("double", "refused")._value.get() - before == len(refused)


def test_tuning_is_kept_and_used(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards) as engine:
        engine.warm(["light"])
        assert not engine.loaded()[0].tuned
        report = engine.tune("light", budget_s=0.3)
        assert engine.loaded() == []  # it makes room for its better self
        assert len(engine.detect("light", frame()).result(20)) == 1
        assert engine.loaded()[0].settings == report.chosen
    with made(tmp_path, cards) as engine:  # another process
        engine.warm(["mean"])
        assert engine.loaded()[0].tuned
        assert engine.loaded()[0].settings == report.chosen


def test_tuning_on_first_load(tmp_path: Path, cards: list[ModelCard]) -> None:
    varying = card_for(tmp_path, "varying", double_graph(width="w"))
    with made(tmp_path, [*cards, varying], tune="first-load", profiles=None) as engine:
        assert len(engine.detect("mean", frame()).result(30)) == 1
        assert engine.loaded()[0].tuned
        assert engine.run("varying", x(1, 2)).result(20)["y"].tolist() == [
            [2, 4]
        ]  # nothing to measure by: default
        with pytest.raises(ConfigError, match="sizes that vary"):
            engine.tune("varying")


def test_a_profile_that_no_longer_loads_falls_back(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards) as engine:
        settings = RunSettings("onnxruntime", "f32", parallel=2, batch=1)
        engine._assembly._book().store(str(cards[0].artifact.sha256), settings, [])
        backend_load = engine._assembly._live

        def refuse_tuned(*given: Any, tuned: bool) -> Any:
            if tuned:
                raise SessionError("an instruction is gone")
            return backend_load(*given, tuned=tuned)

        engine._assembly._live = refuse_tuned  # type: ignore[method-assign, assignment]
        assert len(engine.detect("mean", frame()).result(20)) == 1
        assert not engine.loaded()[0].tuned


def test_closing_answers_everything_and_twice_is_fine(tmp_path: Path, cards: list[ModelCard]) -> None:
    engine = made(tmp_path, cards)
    futures = [engine.detect("mean", frame()) for _ in range(20)]
    engine.close()
    engine.close()
    assert all(future.done() for future in futures)
    assert isinstance(error_of(engine.detect("mean", frame())), CapacityError)
    assert isinstance(error_of(engine.run("double", x(1, 2, 3))), CapacityError)
    with pytest.raises(CapacityError):
        engine.warm(["mean"])
    assert engine.health() == "the engine is closed"
    assert engine.loaded() == []


def test_health_tells_a_run_that_does_not_come_back(tmp_path: Path, cards: list[ModelCard]) -> None:
    with made(tmp_path, cards, stall_s=0.05) as engine:
        engine.warm(["mean", "double"])
        live = engine._memory.lease("double")
        assert live is not None
        engine._memory.release("double")
        gate = threading.Event()
        run = live.session.run

        def slow(feeds: Any) -> Any:
            gate.wait(10)
            return run(feeds)

        live.session.run = slow  # type: ignore[method-assign]
        stuck = engine.run("double", x(1, 2, 3))
        time.sleep(0.1)
        assert "double" in (engine.health() or "")
        assert len(engine.detect("mean", frame()).result(20)) == 1  # another worker serves the others
        gate.set()
        assert stuck.result(20)
        until = time.monotonic() + 5
        while engine.health() is not None:  # the worker still tidies up when the answer is there already
            assert time.monotonic() < until
            time.sleep(0.002)


def test_no_opencv_threads(engine: Engine) -> None:
    assert cv2.getNumThreads() == 1


@pytest.mark.weights
@pytest.mark.media
def test_a_real_detector_on_a_real_picture(tmp_path: Path, mirror: Path, media: Path) -> None:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror))
    assert store.failures == []
    read = cv2.imread(str(media / "images/coco/000000000036.jpg"))
    assert read is not None
    image = read.astype(np.uint8, copy=False)
    with Engine(store, profiles=tmp_path) as engine:
        found = engine.detect("yolox-nano", Frame(image), confidence=0.4).result(60)
        assert sorted(found.names()) == ["person", "umbrella"]
        model = engine.loaded()[0]
        assert model.attached.startswith("onnxruntime CPU")
        assert 4 << 20 < model.bytes < 400 << 20
        assert model.load_s < 30
        report = engine.tune("yolox-nano", budget_s=1.0)
        again = engine.detect("yolox-nano", Frame(image), confidence=0.4).result(60)
        assert sorted(again.names()) == ["person", "umbrella"]
        assert engine.loaded()[0].settings == report.chosen
        np.testing.assert_allclose(again.xyxy, found.xyxy, atol=8)


@pytest.mark.weights
def test_every_card_whose_weights_are_here_loads_and_runs(tmp_path: Path, mirror: Path) -> None:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror))
    able = [card for card in store.cards() if store.available(card)]
    assert able
    with Engine(store) as engine:
        for card in able:
            engine.warm([card.name])
            if card.decoder is not None:
                engine.detect(card.name, frame(size=(90, 160))).result(30)
        assert {model.name for model in engine.loaded()} == {card.name for card in able}
        assert sum(model.bytes for model in engine.loaded()) < 2 << 30
    assert prepare_graph(double_graph(), store.cards()[0].model_copy(update={"input": None}))
