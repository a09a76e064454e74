"""What commands that list things have in common."""

from __future__ import annotations

import time
from typing import Annotated

import typer

AlgorithmOption = Annotated[
    str | None, typer.Option("--algorithm", "-a", metavar="ID", help="Only of this algorithm.")
]
LimitOption = Annotated[
    int, typer.Option(min=1, max=100000, metavar="N", help="At most so many, newest first.")
]


def clock(seconds: float) -> str:
    """Epoch seconds as people here read them."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
