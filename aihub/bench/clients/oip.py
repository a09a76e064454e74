"""Stock clients of the Open Inference Protocol as load, in a process of their own.

    AIHUB_BENCH_KEY=KEY python -m aihub.bench.clients.oip http|grpc HOST:PORT MODEL [--concurrency 16] [--seconds 5] [--body FILE]

A model gets what its metadata asks for, an algorithm a picture of 640 x 640 pixels, or the file's bytes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from aihub.bench.clients.running import KEY
from aihub.bench.clients.seen import Seen

WAIT_S = 60.0


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


def drive(kind: str, address: str, model: str, key: str, until: float, picture: bytes) -> list[float]:
    """One caller: ask, wait for the answer, ask again; seconds of each answer.

    Raises:
        InferenceServerException: an answer was none.
    """
    triton = importlib.import_module(f"tritonclient.{kind}")
    headers, times = {"authorization": f"Bearer {key}"}, []
    limit = {"client_timeout": WAIT_S} if kind == "grpc" else {}
    with triton.InferenceServerClient(address) as client:
        given = encoded(triton, picture) if picture else make_input(triton, client, model, dict(headers))
        while time.perf_counter() < until:
            begun = time.perf_counter()
            # The HTTP client writes into the headers that it is given.
            client.infer(model, [given], headers=dict(headers), **limit)
            times.append(time.perf_counter() - begun)
    return times


def run(
    kind: str, address: str, model: str, key: str, *, concurrency: int, seconds: float, picture: bytes = b""
) -> Seen:
    """So many callers at once. Errors as of `drive`."""
    importlib.import_module(f"tritonclient.{kind}")
    seen = Seen()
    with ThreadPoolExecutor(concurrency) as pool:
        begun = time.perf_counter()
        callers = [
            pool.submit(drive, kind, address, model, key, begun + seconds, picture)
            for _ in range(concurrency)
        ]
        for caller in callers:
            for took in caller.result(timeout=seconds + 2 * WAIT_S):
                seen.note("200", took, good=True)
        seen.seconds, seen.cpu_s = time.perf_counter() - begun, time.process_time()
    return seen


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
