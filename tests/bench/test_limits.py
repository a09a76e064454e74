"""The runtimes' own benchmark programs, for real where they are here, and a stand-in that says what they say."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from aihub.bench.runtimes import limits as module
from aihub.bench.runtimes.graphs import detector
from aihub.bench.runtimes.limits import limits
from aihub.engine.session import Port
from aihub.errors import AihubError

INPUTS = (Port("images", np.dtype(np.uint8), (None, 64, 64, 3)),)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    file.write_bytes(detector(64, 0.125)[0])
    return file


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_benchmark_app_tells_seconds_an_item(graph: Path, tmp_path: Path) -> None:
    found = limits(graph, INPUTS, "f32", tmp_path / "reports")
    assert 1e-6 < found["benchmark_app f32, hint none"](1.0) < 0.5


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_what_benchmark_app_cannot_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.onnx").write_bytes(b"no graph")
    with pytest.raises(AihubError, match="benchmark_app"):
        limits(tmp_path / "none.onnx", INPUTS, "f32", tmp_path)["benchmark_app f32, hint none"](1.0)


def program(folder: Path, says: str, code: int = 0) -> None:
    file = folder / "onnxruntime_perf_test"
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    file.chmod(0o755)


def test_onnxruntime_perf_test_is_used_where_it_is_on_the_path(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_benchmark_app", lambda: None)
    assert limits(graph, INPUTS, "f32", tmp_path) == {}
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program(tmp_path, "Number of inferences per second: 250.0")
    assert limits(graph, INPUTS, "f32", tmp_path)["onnxruntime_perf_test"](1.0) == 0.004
    assert limits(graph, INPUTS, "bf16", tmp_path) == {}
    program(tmp_path, "hm")
    with pytest.raises(AihubError, match="no rate"):
        limits(graph, INPUTS, "f32", tmp_path)["onnxruntime_perf_test"](1.0)
    program(tmp_path, "out of memory", 3)
    with pytest.raises(AihubError, match="ended with 3"):
        limits(graph, INPUTS, "f32", tmp_path)["onnxruntime_perf_test"](1.0)
