"""Stock clients of the Open Inference Protocol as load, in a process of their own.

    AIHUB_BENCH_KEY=KEY python -m aihub.bench.clients.oip http|grpc HOST:PORT MODEL [--concurrency 16] [--seconds 5] [--body FILE]

A model gets what its metadata asks for, an algorithm a picture of 640 x 640 pixels, or the file's bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aihub.bench.clients.running import KEY
from aihub.bench.clients.seen import Seen

WAIT_S = 60.0
REFUSED = ("429", "StatusCode.RESOURCE_EXHAUSTED")
"""What the two clients call a refusal."""


def make_input(triton: Any, client: Any, model: str, headers: dict[str, str]) -> Any:
    """The model's only input, one item, of pixels that are not all the same."""
    found = client.get_model_metadata(model, headers=headers)
    slot = found["inputs"][0] if isinstance(found, dict) else found.inputs[0]
    name, shape = (slot["name"], slot["shape"]) if isinstance(slot, dict) else (slot.name, slot.shape)
    sides = [640, 640, 3] if name == "image" else [1 if side == -1 else int(side) for side in shape]
    pixels = np.random.default_rng(0).integers(0, 256, sides, np.uint8)
    made = triton.InferInput(name, sides, "UINT8")
    made.set_data_from_numpy(pixels)
    return made


def encoded(triton: Any, picture: bytes) -> Any:
    """An encoded picture, as algorithms take it."""
    made = triton.InferInput("image", [1], "BYTES")
    made.set_data_from_numpy(np.array([picture], np.object_))
    return made


@dataclass(frozen=True, slots=True)
class Asked:
    """What every caller asks, and when.

    Attributes:
        kind: `http` or `grpc`.
        address: host and port.
        model: its name.
        key: of the hub.
        picture: an encoded one; empty to ask with pixels.
        ready: where all callers meet once their connections are open.
        seconds: how long they ask from then on.
    """

    kind: str
    address: str
    model: str
    key: str
    picture: bytes
    ready: threading.Barrier
    seconds: float


def drive(asked: Asked) -> tuple[Seen, float, float]:
    """One caller: ask, wait for the answer, ask again, once at least; what it saw, and when it began and ended.

    Raises:
        InferenceServerException: an answer was neither good nor a refusal.
    """
    triton = importlib.import_module(f"tritonclient.{asked.kind}")
    headers, seen = {"authorization": f"Bearer {asked.key}"}, Seen()
    limit = {"client_timeout": WAIT_S} if asked.kind == "grpc" else {}  # HTTP: a minute by itself
    with triton.InferenceServerClient(asked.address) as client:
        given = encoded(triton, asked.picture) if asked.picture else make_input(triton, client, asked.model, dict(headers))  # fmt: skip
        asked.ready.wait(WAIT_S)
        first = time.perf_counter()
        until = first + asked.seconds
        while not seen.statuses or time.perf_counter() < until:
            begun, status = time.perf_counter(), "200"
            try:
                # The HTTP client writes into the headers that it is given.
                client.infer(asked.model, [given], headers=dict(headers), **limit)
            except triton.InferenceServerException as error:
                status = str(error.status())
                if status not in REFUSED:
                    raise
            seen.note(status, time.perf_counter() - begun, good=status == "200", refused=status in REFUSED)
    return seen, first, time.perf_counter()


def run(
    kind: str, address: str, model: str, key: str, *, concurrency: int, seconds: float, picture: bytes = b""
) -> Seen:
    """So many callers at once. Errors as of `drive`."""
    importlib.import_module(f"tritonclient.{kind}")
    asked = Asked(
        kind, address, model, key, picture, threading.Barrier(concurrency + 1, timeout=WAIT_S), seconds
    )
    together = Seen()
    with ThreadPoolExecutor(concurrency) as pool:
        callers = [pool.submit(drive, asked) for _ in range(concurrency)]
        with contextlib.suppress(threading.BrokenBarrierError):  # a caller that failed says below why
            asked.ready.wait(WAIT_S)
        told = [caller.result(timeout=seconds + 2 * WAIT_S) for caller in callers]
    for one, _, _ in told:
        together.answered += one.answered
        together.refused += one.refused
        together.statuses += one.statuses
    # By the callers' own clocks: this thread may wake up long after they have begun.
    together.seconds = max(ended for _, _, ended in told) - min(begun for _, begun, _ in told)
    together.cpu_s = time.process_time()
    return together


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("kind", choices=["http", "grpc"])
    parser.add_argument("address")
    parser.add_argument("model")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--body", type=Path, help="an encoded picture, for algorithms")
    asked = parser.parse_args()
    picture = asked.body.read_bytes() if asked.body else b""
    seen = run(asked.kind, asked.address, asked.model, os.environ.get(KEY, ""), concurrency=asked.concurrency,
               seconds=asked.seconds, picture=picture)  # fmt: skip
    sys.stdout.write(json.dumps(seen.to_json()) + "\n")


if __name__ == "__main__":
    main()
