"""Fail when a file is longer than 400 lines or a function longer than 60, or a name says nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FILE, MAX_FUNCTION = 400, 60
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "misc"}


def problems(root: Path) -> Iterator[str]:
    """Every breach below `root`, as `file:line: what`."""
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.stem in EMPTY_NAMES:
            yield f"{path}:1: the name {path.stem!r} says nothing"
        if (lines := source.count("\n")) > MAX_FILE:
            yield f"{path}:1: {lines} lines (at most {MAX_FILE})"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    yield f"{path}:{node.lineno}: {node.name} has {length} lines (at most {MAX_FUNCTION})"


if __name__ == "__main__":
    found = [problem for folder in sys.argv[1:] for problem in problems(Path(folder))]
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
    sys.exit(bool(found))
