"""What is kept of a model that was made: a checked file with its notes, and what it was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx


def digest(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def noted(path: Path, notes: dict[str, str]) -> None:
    """Check an exported graph and write free texts into it, such as its licence."""
    made = onnx.load(str(path))
    onnx.helper.set_model_props(made, notes)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, str(path))


def record(
    out: Path,
    name: str,
    labels: Sequence[str],
    plan: Any,
    begun: float,
    used: Sequence[str],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Write `made.json`; what it says.

    Args:
        out: folder with the ONNX file, `NAME.onnx`.
        name: of the recipe and the model.
        labels: of the model.
        plan: how it was trained, a dataclass.
        begun: `time.monotonic()` of the beginning.
        used: packages whose versions count.
        facts: what else there is to say, such as digests of the data.
    """
    made = {
        "recipe": name,
        "labels": list(labels),
        "plan": dataclasses.asdict(plan),
        **facts,
        "versions": {"python": platform.python_version()} | {package: version(package) for package in used},
        "seconds": round(time.monotonic() - begun),
    }
    return written(out, name, made)


def written(out: Path, name: str, made: dict[str, Any]) -> dict[str, Any]:
    """Write `made.json` with the size and digest that `NAME.onnx` has now; what it says."""
    path = out / f"{name}.onnx"
    made = made | {"bytes": path.stat().st_size, "sha256": digest(path)}
    (out / "made.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made
