"""The runtimes: ONNX Runtime on CPU, CUDA and TensorRT, and OpenVINO. All read the same ONNX bytes.

What really attached is asked of the runtime after loading and shown; an accelerator that did not attach is an error,
never a silent fall to the CPU.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError as ProtobufError
from onnx import TensorProto, helper, numpy_helper

from aihub.engine.session import Backend, Feeds, Port, RunSettings, Session
from aihub.errors import ConfigError, SessionError
from aihub.types import Tensor

logger = logging.getLogger(__name__)

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "onnxruntime": "CPUExecutionProvider",
}
"""Name of a backend -> ONNX Runtime's execution provider, the strongest first."""

RUNS_ON_DEVICE = 2
"""Runs at once on an accelerator: one computes while the other moves its data."""

_QUIET = 3
"""ONNX Runtime's log level that shows errors only: its warnings about graphs are not for operators."""


def backends(device_bytes: int = 0) -> dict[str, Backend]:
    """The runtimes that are installed, by name; imported on the first call.

    Args:
        device_bytes: most memory of an accelerator that one model takes; 0 sets no limit.

    Raises:
        ConfigError: none is installed; the hint is what to install.
    """
    return _installed(device_bytes)


@lru_cache(maxsize=8)
def _installed(device_bytes: int) -> dict[str, Backend]:
    found: dict[str, Backend] = {}
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        here = onnxruntime.get_available_providers()
        found |= {
            name: OnnxRuntime(name, device_bytes) for name, provider in PROVIDERS.items() if provider in here
        }
    if importlib.util.find_spec("openvino") is not None:
        found[OpenVino.name] = OpenVino()
    if not found:
        raise ConfigError("no model runtime is installed", hint="pip install 'aihub[cpu]'")
    return found


def backend(name: str, device_bytes: int = 0) -> Backend:
    """The backend of that name; see `backends`.

    Raises:
        ConfigError: not installed; the hint is what to install.
    """
    found = backends(device_bytes)
    if name not in found:
        extra = {"openvino": "openvino", "cuda": "gpu", "tensorrt": "gpu"}.get(name, "cpu")
        raise ConfigError(f"the runtime {name!r} is not installed here", hint=f"pip install 'aihub[{extra}]'")
    return found[name]


@lru_cache(maxsize=8)
def started(name: str, device_bytes: int = 0) -> Backend:
    """The backend of that name after its first run ever, so that what it loads for itself is weighed with no model; see `backends`.

    Raises:
        ConfigError: not installed.
        SessionError: it cannot run anything.
    """
    found = backend(name, device_bytes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 8, 8])
    weights = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "first", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = found.load(model.SerializeToString(), RunSettings(name))
    session.run({"x": np.zeros((1, 3, 8, 8), np.float32)})
    session.close()
    return found


def default_settings(cores: int) -> RunSettings:
    """Good settings without a measurement.

    ONNX Runtime in float32, since every other result is checked against it: on an accelerator when there is one,
    else one thread a run and as many runs at once as there are cores.
    """
    found = backends()
    name = next(name for name in ("cuda", "onnxruntime", "openvino") if name in found)
    on_device = found[name].accelerator
    return RunSettings(name, parallel=RUNS_ON_DEVICE if on_device else cores, batch=8 if on_device else 1)


def _names(model: bytes) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Inputs that are not weights, each with the name of its free first side if it has one, and outputs."""
    try:
        graph = onnx.load_model_from_string(model).graph
    except ProtobufError as error:
        raise SessionError(f"not an ONNX graph: {error}") from error
    weights = {weight.name for weight in graph.initializer}
    inputs = []
    for value in graph.input:
        if value.name not in weights:
            sides = value.type.tensor_type.shape.dim
            inputs.append((value.name, sides[0].dim_param or None if sides else None))
    return inputs, [value.name for value in graph.output]


def provider_options(name: str, precision: str, device_bytes: int) -> dict[str, str]:
    """What ONNX Runtime tells its execution provider.

    A card's arena grows by what is asked for and not by doubling, so that several models fit on one card.

    Args:
        name: of the backend.
        precision: see `RunSettings`.
        device_bytes: most that the arena of a session takes (CUDA), or its scratch space (TensorRT); 0 sets no limit.

    >>> provider_options("tensorrt", "f16", 1 << 30)
    {'trt_fp16_enable': '1', 'trt_max_workspace_size': '1073741824'}
    """
    if name == "cuda":
        limit = {"gpu_mem_limit": str(device_bytes)} if device_bytes else {}
        return {"arena_extend_strategy": "kSameAsRequested", **limit}
    if name == "tensorrt":
        half = {"trt_fp16_enable": "1"} if precision == "f16" else {}
        return half | ({"trt_max_workspace_size": str(device_bytes)} if device_bytes else {})
    return {}


class OnnxRuntime(Backend):
    """ONNX Runtime with one execution provider.

    Args:
        name: one of `PROVIDERS`.
        device_bytes: see `provider_options`.
    """

    def __init__(self, name: str = "onnxruntime", device_bytes: int = 0) -> None:
        self.name = name
        self._device_bytes = device_bytes
        self.provider = PROVIDERS[name]
        self.accelerator = self.provider != "CPUExecutionProvider"

    def precisions(self) -> tuple[str, ...]:
        """`f32`; TensorRT also `f16`."""
        return ("f32", "f16") if self.name == "tensorrt" else ("f32",)

    def load(self, model: bytes, settings: RunSettings) -> Session:
        """See `Backend.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _QUIET
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if settings.spinning else "0")
        inputs, _ = _names(model)
        if settings.batch == 1 and len(inputs) == 1 and inputs[0][1]:
            options.add_free_dimension_override_by_name(inputs[0][1], 1)
        own = provider_options(self.name, settings.precision, self._device_bytes)
        providers = [(self.provider, own)]
        if self.accelerator:
            providers.append(("CPUExecutionProvider", {}))
        refusals = _refusals()
        try:
            session = onnxruntime.InferenceSession(model, options, providers=providers)
        except refusals as error:
            raise SessionError(f"ONNX Runtime refuses the graph: {_first_line(error)}") from error
        attached = session.get_providers()
        if attached[0] != self.provider:
            raise SessionError(
                f"{self.provider} did not attach, only {attached}", hint="see the driver's log"
            )
        return _OnnxRuntimeSession(session, attached[0], refusals)


@lru_cache(maxsize=1)
def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its own classes, which share no base, and those of its Python layer."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    own = [kind for kind in vars(states).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


_ONNX_TYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16, "uint8": np.uint8, "int8": np.int8,
    "uint16": np.uint16, "int16": np.int16, "uint32": np.uint32, "int32": np.int32, "uint64": np.uint64,
    "int64": np.int64, "bool": np.bool_, "string": np.object_,
}  # fmt: skip


class _OnnxRuntimeSession(Session):
    def __init__(self, session: Any, provider: str, refusals: tuple[type[Exception], ...]) -> None:
        self._session = session
        self._refusals = refusals
        self.attached = f"onnxruntime {provider}"
        self.inputs = tuple(map(self._port, session.get_inputs()))
        self.outputs = tuple(map(self._port, session.get_outputs()))
        self._names = [port.name for port in self.outputs]

    @staticmethod
    def _port(node: Any) -> Port:
        kind = _ONNX_TYPES.get(node.type.removeprefix("tensor(").removesuffix(")"), np.object_)
        shape = tuple(side if isinstance(side, int) and side >= 0 else None for side in node.shape or ())
        return Port(node.name, np.dtype(kind), shape)

    def run(self, feeds: Feeds) -> dict[str, Tensor]:
        try:
            values = self._session.run(self._names, feeds)
        except self._refusals as error:
            raise SessionError(f"the run failed: {_first_line(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def close(self) -> None:
        self._session = None


class OpenVino(Backend):
    """OpenVINO on the CPU, one stream a run at once."""

    name = "openvino"

    def __init__(self) -> None:
        import openvino

        self._openvino = openvino
        self._core = openvino.Core()

    def precisions(self) -> tuple[str, ...]:
        """`f32`, and `bf16`, `f16` where the processor computes in them."""
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("f32", *(name for name, word in (("bf16", "BF16"), ("f16", "FP16")) if word in able))

    def load(self, model: bytes, settings: RunSettings) -> Session:
        """See `Backend.load`."""
        inputs, outputs = _names(model)
        config = {
            "NUM_STREAMS": str(settings.parallel),
            "INFERENCE_NUM_THREADS": str(settings.threads * settings.parallel),
            "INFERENCE_PRECISION_HINT": settings.precision,
            # Pinned threads of several models would queue up on one core while the next one idles.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            graph = self._core.read_model(model, b"")
            if settings.batch == 1 and len(inputs) == 1 and graph.inputs[0].partial_shape[0].is_dynamic:
                shape = graph.inputs[0].partial_shape
                shape[0] = 1
                graph.reshape(shape)
            compiled = self._core.compile_model(graph, "CPU", config)
        except (RuntimeError, ValueError, TypeError) as error:
            raise SessionError(f"OpenVINO refuses the graph: {_last_line(error)}") from error
        devices = compiled.get_property("EXECUTION_DEVICES")
        return _OpenVinoSession(self._openvino, compiled, [name for name, _ in inputs], outputs, str(devices))


def _last_line(error: Exception) -> str:
    """OpenVINO puts the trace first and the reason last."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


class _OpenVinoSession(Session):
    transient = True

    def __init__(
        self, openvino: Any, compiled: Any, inputs: list[str], outputs: list[str], devices: str
    ) -> None:
        self._openvino = openvino
        self._compiled = compiled
        self.attached = f"openvino {devices}"
        by_name = {name: port for port in compiled.inputs for name in port.get_names()}
        self._inputs = {name: by_name[name] for name in inputs if name in by_name}
        self.inputs = tuple(self._port(name, port) for name, port in self._inputs.items())
        self.outputs = tuple(self._port(*pair) for pair in zip(outputs, compiled.outputs, strict=True))
        self._names = outputs
        self._requests = threading.local()

    @staticmethod
    def _port(name: str, port: Any) -> Port:
        sides = tuple(None if side.is_dynamic else int(side.get_length()) for side in port.partial_shape)
        return Port(name, np.dtype(port.get_element_type().to_dtype()), sides)

    def run(self, feeds: Feeds) -> dict[str, Tensor]:
        try:
            request = getattr(self._requests, "mine", None)
            if request is None:
                request = self._requests.mine = self._compiled.create_infer_request()
            for name, value in feeds.items():
                # Shared memory has to be writable, although nobody writes; what came over a wire is not.
                mine = value if value.flags.writeable else value.copy()
                request.set_tensor(self._inputs[name], self._openvino.Tensor(mine, shared_memory=True))
            request.infer()
            return {name: request.get_output_tensor(at).data for at, name in enumerate(self._names)}
        except KeyError as error:
            raise SessionError(f"the graph has no input {error}, but {list(self._inputs)}") from error
        except (RuntimeError, ValueError, TypeError) as error:
            raise SessionError(f"the run failed: {_last_line(error)}") from error

    def close(self) -> None:
        self._requests = threading.local()
        self._compiled = None
