"""The tuned engine against loops written by hand over the runtimes themselves."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from aihub.engine.engine import Engine
from aihub.engine.graph import prepare_graph
from aihub.engine.machine import cores
from aihub.engine.store import ModelStore
from aihub.types import Frame, Image, ModelCard
from benchmarks.graphs import SIDE, detector
from benchmarks.measure import Figure, take_turns

COMMAND = "python -m benchmarks.run --only engine"
SECONDS = 2.0
Feeds = Mapping[str, npt.NDArray[np.generic]]


class Bare(Protocol):
    """A session of a runtime, without anything of ours."""

    def run(self, feeds: Feeds) -> object: ...

    def close(self) -> None: ...


class BareOnnxRuntime:
    """ONNX Runtime as its own documentation shows it; `threads` 0 is its default."""

    def __init__(self, model: bytes, threads: int, *, spinning: bool = True) -> None:
        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, feeds: Feeds) -> object:
        return self._session.run(None, dict(feeds))

    def close(self) -> None:
        del self._session


class BareOpenVino:
    """OpenVINO with one infer request a thread."""

    def __init__(self, model: bytes, precision: str, streams: int) -> None:
        import openvino

        core = openvino.Core()
        read = core.read_model(model)
        read.reshape({port: [1, *list(port.partial_shape)[1:]] for port in read.inputs})
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": cores(),
        }  # fmt: skip
        self._compiled = core.compile_model(read, "CPU", config)
        self._local = threading.local()

    def run(self, feeds: Feeds) -> object:
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        return request.infer(dict(feeds), share_inputs=True, share_outputs=True)

    def close(self) -> None:
        del self._compiled


def graph_of(engine: Engine, name: str) -> tuple[ModelCard, bytes]:
    """The card and the prepared graph of a model."""
    card = engine.store.resolve(name)
    return card, prepare_graph(engine.store.path(card).read_bytes(), card)


def variants(engine: Engine, name: str) -> dict[str, Callable[[], Bare]]:
    """Every setting worth trying by hand on this machine."""
    _, model = graph_of(engine, name)
    n = cores()
    tried: dict[str, Callable[[], Bare]] = {
        "ORT defaults": lambda: BareOnnxRuntime(model, 0),
        f"ORT {n} threads, no spinning": lambda: BareOnnxRuntime(model, n, spinning=False),
        "ORT 1 thread a run": lambda: BareOnnxRuntime(model, 1, spinning=False),
    }
    try:
        import openvino
    except ImportError:
        return tried
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for precision in ("f32", "bf16"):
        if precision == "f32" or precision.upper() in capabilities:
            tried[f"OpenVINO {precision}"] = lambda p=precision: BareOpenVino(model, p, n)  # type: ignore[misc]
    return tried


def bare_session(engine: Engine, name: str) -> tuple[ModelCard, Bare]:
    """The session that the engine chose, opened without the engine."""
    engine.warm([name])
    card, model = graph_of(engine, name)
    chosen = next(loaded.settings for loaded in engine.loaded() if loaded.name == card.name)
    if chosen.backend == "openvino":
        return card, BareOpenVino(model, chosen.precision, chosen.parallel)
    return card, BareOnnxRuntime(model, chosen.threads, spinning=chosen.spinning)


def by_hand(session: Bare, feeds: Feeds, threads: int) -> float:
    """Seconds a picture with so many threads that each call `run` in a loop."""
    counts = [0] * threads
    until = time.perf_counter() + SECONDS

    def loop(index: int) -> None:
        while time.perf_counter() < until:
            session.run(feeds)
            counts[index] += 1

    workers = [threading.Thread(target=loop, args=(index,)) for index in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - begun) / sum(counts)


def through_engine(engine: Engine, name: str, feeds: Feeds) -> float:
    """Seconds a picture through the engine's queue, with twice as many in flight as cores."""
    flying = [engine.run(name, feeds) for _ in range(2 * cores())]
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        flying.pop(0).result(timeout=30)
        flying.append(engine.run(name, feeds))
        count += 1
    took = time.perf_counter() - begun
    for future in flying:
        future.result(timeout=30)
    return took / count


def measure(engine: Engine, turns: int = 5) -> list[Figure]:
    """Tune, then compare with every setting tried by hand, in turns: YOLOX-nano, and a graph of the class of YOLO11n."""
    figures = _compared(engine, "coco", turns, least=1.4)
    graph, drawn = detector()
    with tempfile.TemporaryDirectory(prefix="aihub-graph-") as folder:
        path = Path(folder, "class-of-yolo11n.onnx")
        path.write_bytes(graph)
        card = ModelCard.model_validate({
            "name": f"random-weights-{drawn.flop / 1e9:.1f}-gflop",
            "task": "object-detection", "summary": "Random weights, for speed only.",
            "input": {"name": "images", "size": [SIDE, SIDE], "layout": "nhwc"},
            "artifact": {"uri": f"file:{path.name}", "sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph),
                         "license": "Apache-2.0"},
        })  # fmt: skip
        store = ModelStore([(card, path.parent)], cache=path.parent / "cache")
        with Engine(store, profiles=path.parent / "profiles") as other:
            figures += _compared(other, card.name, turns, least=2.4)
    return figures


def _compared(engine: Engine, name: str, turns: int, *, least: float) -> list[Figure]:
    """One model, tuned and by hand.

    Args:
        engine: knows it.
        name: of the model, or its role.
        turns: how often everything is measured.
        least: what the tuned engine is to be faster than ONNX Runtime's defaults by, where there are OpenVINO and AMX.
    """
    engine.tune(name, budget_s=10.0)
    card, _ = graph_of(engine, name)
    assert card.input is not None
    image: Image = np.random.default_rng(0).integers(0, 255, (*card.input.size, 3), np.uint8)
    feeds = {card.input.name: Frame(image).image[None]}
    opened = {variant: make() for variant, make in variants(engine, name).items()}

    def turn(session: Bare, variant: str) -> Callable[[], float]:
        threads = 1 if variant == "ORT defaults" or "threads" in variant else cores()
        return lambda: by_hand(session, feeds, threads)

    costs: dict[str, Callable[[], float]] = {one: turn(session, one) for one, session in opened.items()}
    costs["engine"] = lambda: through_engine(engine, card.name, feeds)
    taken = take_turns(costs, turns)
    for session in opened.values():
        session.close()
    best = min(opened, key=taken.median)
    ratio = 1 / taken.ratio("engine", best)
    default = 1 / taken.ratio("engine", "ORT defaults")
    chosen = next(loaded.settings for loaded in engine.loaded() if loaded.name == card.name)
    rows = ", ".join(f"{one} {taken.median(one) * 1e3:.2f}" for one in costs)
    return [
        Figure(f"Tuned engine / best hand-written loop ({card.name})", ratio, "x", ">= 0.95", ratio >= 0.95,
               f"best by hand: {best}; engine chose {chosen}; ms a picture: {rows}", COMMAND),
        Figure(f"Tuned engine / ONNX Runtime defaults ({card.name})", default, "x", f">= {least:g} with OpenVINO and AMX",
               None if not _has_amx() else default >= least, f"turns {taken.spread('ORT defaults', 'engine')}", COMMAND),
    ]  # fmt: skip


def _has_amx() -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a device file
            return "amx_tile" in file.read()
    except OSError:
        return False
