"""Runtimes by themselves, used as their own documentation shows: what the hub is measured against."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from aihub.bench.runtimes.graphs import parsed
from aihub.engine.backends import provider_options
from aihub.engine.engine import Engine
from aihub.engine.graph import prepare_graph
from aihub.engine.machine import cores
from aihub.types import ModelCard

DEFAULTS = "ORT defaults"
LANE_S = 120.0
"""Longest wait for a loop beyond its time: one run of the slowest model, on a busy machine."""
Clock = Literal["wall", "cpu"]
Feeds = Mapping[str, npt.NDArray[Any]]


class Bare(Protocol):
    """A session of a runtime, without anything of ours."""

    def run(self, feeds: Feeds) -> object:
        """Run once; may be called from several threads at once."""

    def close(self) -> None:
        """Give its memory back."""


class BareOnnxRuntime:
    """ONNX Runtime.

    Args:
        model: the graph.
        threads: of one run; 0 is its default.
        spinning: whether idle threads burn their cores.
        provider: `CPU`, `CUDA` or `Tensorrt`.
        half: whether it computes in float16: converted weights, and for TensorRT its own switch.
        bound: whether inputs and outputs stay on the device: the input is copied there once, not at each run.
        device_bytes: most memory of the device, see `aihub.engine.backends.provider_options`.
    """

    def __init__(
        self,
        model: bytes,
        threads: int,
        *,
        spinning: bool = True,
        provider: str = "CPU",
        half: bool = False,
        bound: bool = False,
        device_bytes: int = 0,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads:
            options.intra_op_num_threads = threads
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        own = provider_options(provider.lower(), "f16" if half else "f32", device_bytes)
        graph = halved(model) if half and provider != "Tensorrt" else model
        asked = [(f"{provider}ExecutionProvider", own)]
        if provider != "CPU":
            asked.append(("CPUExecutionProvider", {}))
        self._onnxruntime = onnxruntime
        self._session = onnxruntime.InferenceSession(graph, options, providers=asked)
        self.attached = str(self._session.get_providers()[0])
        self._device = "cpu" if provider == "CPU" else "cuda"
        self._bound, self._local = bound, threading.local()

    def run(self, feeds: Feeds) -> object:
        """See `Bare.run`. What is bound keeps the first feeds of each thread."""
        return self._run_bound(feeds) if self._bound else self._session.run(None, dict(feeds))

    def _run_bound(self, feeds: Feeds) -> object:
        binding = getattr(self._local, "binding", None)
        if binding is None:
            binding = self._local.binding = self._session.io_binding()
            self._local.held = {}
            for name, value in feeds.items():
                there = self._onnxruntime.OrtValue.ortvalue_from_numpy(
                    np.ascontiguousarray(value), self._device, 0
                )
                self._local.held[name] = there
                binding.bind_ortvalue_input(name, there)
            for output in self._session.get_outputs():
                binding.bind_output(output.name, self._device)
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    def close(self) -> None:
        """See `Bare.close`."""
        self._local = threading.local()
        del self._session


class BareOpenVino:
    """OpenVINO with one infer request a thread.

    Args:
        model: the graph.
        precision: `f32`, `bf16` or `f16`.
        streams: runs at once.
    """

    def __init__(self, model: bytes, precision: str, streams: int) -> None:
        import openvino

        core = openvino.Core()
        read = core.read_model(model)
        if len(read.inputs) == 1 and read.inputs[0].partial_shape[0].is_dynamic:
            read.reshape({port: [1, *list(port.partial_shape)[1:]] for port in read.inputs})
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": cores(),
        }  # fmt: skip
        self._compiled = core.compile_model(read, "CPU", config)
        self._local = threading.local()

    def run(self, feeds: Feeds) -> object:
        """See `Bare.run`."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        return request.infer(dict(feeds), share_inputs=True, share_outputs=True)

    def close(self) -> None:
        """See `Bare.close`."""
        self._local = threading.local()
        del self._compiled


def halved(model: bytes) -> bytes:
    """The graph with weights and sums in float16; its inputs and outputs keep their types."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    # Without shape inference, which runs in a file of its own and fails on graphs that prepared ones contain.
    converted = convert_float_to_float16(parsed(model), keep_io_types=True, disable_shape_infer=True)
    return bytes(converted.SerializeToString())


def providers() -> tuple[str, ...]:
    """Execution providers that ONNX Runtime offers here: `CPU`, `CUDA`, `Tensorrt`, ...; none where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())


def openvino_precisions() -> tuple[str, ...]:
    """What OpenVINO computes in on this processor, `f32` first; empty where it is not installed."""
    try:
        import openvino
    except ImportError:
        return ()
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", *(name for name, word in (("bf16", "BF16"), ("f16", "FP16")) if word in able))


def graph_of(engine: Engine, name: str) -> tuple[ModelCard, bytes]:
    """The card and the prepared graph of a model.

    Raises:
        AihubError: it is not to be had.
    """
    card = engine.store.resolve(name)
    return card, prepare_graph(engine.store.path(card).read_bytes(), card)


def variants(model: bytes) -> dict[str, tuple[str, int, Callable[[], Bare]]]:
    """Every setting worth trying by hand on this machine: its precision, runs at once, and how to open it."""
    n = cores()
    tried: dict[str, tuple[str, int, Callable[[], Bare]]] = {
        DEFAULTS: ("f32", 1, lambda: BareOnnxRuntime(model, 0)),
        f"ORT {n} threads, no spinning": ("f32", 1, lambda: BareOnnxRuntime(model, n, spinning=False)),
        "ORT 1 thread a run": ("f32", n, lambda: BareOnnxRuntime(model, 1, spinning=False)),
    }
    for precision in openvino_precisions():
        tried[f"OpenVINO {precision}"] = (precision, n, partial(BareOpenVino, model, precision, n))
    return tried


def bare_session(engine: Engine, name: str) -> tuple[ModelCard, Bare]:
    """The session that the engine chose for a model, opened without the engine.

    Raises:
        AihubError: the model cannot be loaded.
    """
    engine.warm([name])
    card, model = graph_of(engine, name)
    chosen = next(loaded.settings for loaded in engine.loaded() if loaded.name == card.name)
    if chosen.backend == "openvino":
        return card, BareOpenVino(model, chosen.precision, chosen.parallel)
    provider = {"cuda": "CUDA", "tensorrt": "Tensorrt"}.get(chosen.backend, "CPU")
    half = chosen.precision == "f16"
    return card, BareOnnxRuntime(
        model, chosen.threads, spinning=chosen.spinning, provider=provider, half=half
    )


def in_lanes(work: Callable[[], object], lanes: int, seconds: float, *, clock: Clock = "wall") -> float:
    """Seconds a call when so many threads call `work` in a loop; each calls it once at least.

    Args:
        work: to be called.
        lanes: threads.
        seconds: on the wall, how long.
        clock: what is counted; `cpu` is this process's own seconds, in which neighbours on the machine do not show.

    Raises:
        Exception: what `work` raised.
    """
    until = time.perf_counter() + seconds
    read = time.perf_counter if clock == "wall" else time.process_time

    def loop() -> int:
        count = 0
        while not count or time.perf_counter() < until:
            work()
            count += 1
        return count

    pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
    try:
        begun = read()
        running = [pool.submit(loop) for _ in range(lanes)]
        done = sum(lane.result(timeout=seconds + LANE_S) for lane in running)
        return (read() - begun) / done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def alone(work: Callable[[], object], seconds: float) -> float:
    """Median seconds of a call when nothing else goes on."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while not times or time.perf_counter() < until:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
