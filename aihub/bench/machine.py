"""The machine that a result holds for: what it is, how loaded, and how fast it was while the suite ran."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time

import cv2
import numpy as np
import psutil

from aihub import __version__
from aihub.bench.results import Machine
from aihub.engine.machine import cores, fingerprint, processor, version_of

LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "ray",
    "starlette",
)
TELLING = ("avx", "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "asimd", "sve")  # fmt: skip
"""Flags that decide how models run; a processor has a hundred more."""


class Pace:
    """How long a fixed piece of work takes, asked for again and again while a suite runs.

    A matrix product and a resize, one thread: about 8 ms of what models and pictures cost. Two runs on a machine whose
    neighbours took half of it differ in this as they differ in everything else.
    """

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._matrix = random.random((256, 256), np.float32)
        self._picture = random.integers(0, 255, (1080, 1920, 3), np.uint8)
        self._product = self._matrix
        self.taken: list[float] = []

    def take(self) -> None:
        """Measure once: the best of five, ms."""
        self.taken.append(min(self._once() for _ in range(5)))

    def _once(self) -> float:
        begun = time.perf_counter()
        for _ in range(4):
            product = self._matrix @ self._matrix
            cv2.resize(self._picture, (640, 360), interpolation=cv2.INTER_AREA)
        self._product = product
        return (time.perf_counter() - begun) * 1e3

    @property
    def median_ms(self) -> float:
        """Median of what was taken; 0 if nothing was."""
        return statistics.median(self.taken) if self.taken else 0.0

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median, 0 for a machine that keeps its pace."""
        return (max(self.taken) - min(self.taken)) / self.median_ms if self.taken else 0.0


def load_a_core() -> float:
    """1-minute load average over the cores of this process."""
    return os.getloadavg()[0] / cores()


def describe(pace: Pace, load_before: float) -> Machine:
    """This machine, after a run."""
    name, flags = processor()
    known, cards = set(flags.split()), gpus()
    return Machine(
        fingerprint=fingerprint(cards),
        processor=name,
        flags=tuple(flag for flag in TELLING if flag in known),
        cores=cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpus=cards,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={"aihub": __version__, **{one: said for one in LIBRARIES if (said := version_of(one))}},
        pace_ms=round(pace.median_ms, 4),
        pace_spread=round(pace.spread, 4),
        load_before=round(load_before, 2),
        load_after=round(load_a_core(), 2),
    )


def gpus() -> tuple[str, ...]:
    """Cards and their driver, as nvidia-smi names them; empty without any."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        said = subprocess.run(
            [command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in said.stdout.splitlines() if line.strip())
