"""Benchmark programs that come with the runtimes: what a runtime reaches by its own makers' measure.

OpenVINO's `benchmark_app` comes with its Python package. ONNX Runtime's `onnxruntime_perf_test` comes in no package: it is built
with ONNX Runtime, and used where it is on the PATH.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aihub.engine.machine import cores
from aihub.engine.session import Port
from aihub.errors import AihubError

START_S = 120.0
"""Longest that a program may take beyond the time it measures: it starts, reads the graph and compiles it."""
Limit = Callable[[float], float]
"""Measures for so many seconds; gives seconds an item."""


def limits(graph: Path, inputs: Sequence[Port], precision: str, folder: Path) -> dict[str, Limit]:
    """The programs that are here and can run a graph in a precision, one item at a time on each core.

    Args:
        graph: the ONNX file.
        inputs: its inputs; a free first side is taken as 1.
        precision: `f32`, `bf16` or `f16`.
        folder: for their reports.
    """
    found: dict[str, Limit] = {}
    if (program := _benchmark_app()) is not None:
        for hint in ("none", "throughput"):
            command = [*program, *_openvino(graph, inputs, precision, hint, folder)]
            found[f"benchmark_app {precision}, hint {hint}"] = partial(_told_by_openvino, command, folder)
    perf_test = shutil.which("onnxruntime_perf_test")
    if perf_test is not None and precision == "f32":
        found["onnxruntime_perf_test"] = partial(_told_by_onnxruntime, perf_test, graph)
    return found


def _benchmark_app() -> list[str] | None:
    """Beside the interpreter, where a virtual environment that is not activated has it, or on the PATH."""
    beside = Path(sys.executable).with_name("benchmark_app")
    if beside.exists():
        return [sys.executable, str(beside)]
    path = shutil.which("benchmark_app")
    return None if path is None else [path]


def _openvino(graph: Path, inputs: Sequence[Port], precision: str, hint: str, folder: Path) -> list[str]:
    shapes = ",".join(f"{port.name}[{','.join(map(str, _shape(port)))}]" for port in inputs)
    asked = ["-m", str(graph), "-d", "CPU", "-shape", shapes, "-infer_precision", precision, "-hint", hint,
             "-report_type", "no_counters", "-json_stats", "-report_folder", str(folder)]  # fmt: skip
    # It takes threads and streams only where the hint does not choose them.
    return asked if hint != "none" else [*asked, "-nstreams", str(cores()), "-nthreads", str(cores())]


def _shape(port: Port) -> list[int]:
    return [1 if side is None else side for side in port.shape]


def _told_by_openvino(command: Sequence[str], folder: Path, seconds: float) -> float:
    report = folder / "benchmark_report.json"
    folder.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    said = _run([*command, "-t", str(max(1, round(seconds)))], seconds)
    try:
        told = json.loads(report.read_text(encoding="utf-8"))
        return 1 / float(told["execution_results"]["throughput"])
    except (OSError, ValueError, KeyError) as error:
        raise AihubError(f"benchmark_app told no throughput ({error!r}): {said[-300:]}") from error


def _told_by_onnxruntime(program: str, graph: Path, seconds: float) -> float:
    # -I makes inputs up; a free side is 1 then.
    command = [program, "-e", "cpu", "-m", "duration", "-t", str(max(1, round(seconds))), "-I", "-x", "1", "-c", str(cores())]  # fmt: skip
    said = _run([*command, str(graph)], seconds)
    rate = re.search(r"Number of inferences per second:\s*([0-9.eE+]+)", said)
    if rate is None or float(rate[1]) <= 0:
        raise AihubError(f"onnxruntime_perf_test told no rate: {said[-300:]}")
    return 1 / float(rate[1])


def _run(command: Sequence[str], seconds: float) -> str:
    try:
        done = subprocess.run(
            [*command], capture_output=True, text=True, timeout=seconds + START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AihubError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        raise AihubError(f"{' '.join(command[:2])} ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")  # fmt: skip
    return done.stdout
