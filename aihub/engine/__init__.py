"""One ONNX model, from bytes to results: store, sessions, batching, memory, tuning, decoding. Knows the runtimes."""

from aihub.engine.engine import Engine
from aihub.engine.model import LoadedModel
from aihub.engine.session import RunSettings
from aihub.engine.store import ModelStore
from aihub.engine.tuner import Trial, TuneReport

__all__ = ["Engine", "LoadedModel", "ModelStore", "RunSettings", "Trial", "TuneReport"]
