"""Stock clients of the Open Inference Protocol as load, in a process of their own.

python -m benchmarks.oip_load http|grpc HOST:PORT MODEL --key KEY [--concurrency 16] [--seconds 5]

A model gets what its metadata asks for, an algorithm a picture of 640 x 640 pixels.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import threading
import time
from typing import Any

import numpy as np


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


def drive(kind: str, address: str, model: str, key: str, until: float, times: list[float]) -> None:
    """One caller: ask, wait for the answer, ask again."""
    triton = importlib.import_module(f"tritonclient.{kind}")
    headers = {"authorization": f"Bearer {key}"}
    with triton.InferenceServerClient(address) as client:
        given = make_input(triton, client, model, headers)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            # The HTTP client writes into the headers that it is given.
            client.infer(model, [given], headers=dict(headers))
            times.append(time.perf_counter() - begun)


def run(kind: str, address: str, model: str, key: str, concurrency: int, seconds: float) -> dict[str, float]:
    """Answers per second and latencies of so many callers at once."""
    times: list[list[float]] = [[] for _ in range(concurrency)]
    importlib.import_module(f"tritonclient.{kind}")
    begun = time.perf_counter()
    threads = [
        threading.Thread(target=drive, args=(kind, address, model, key, begun + seconds, mine))
        for mine in times
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    spent = sorted(one for mine in times for one in mine)
    return {
        "per_second": len(spent) / took,
        "p50_ms": 1000 * spent[len(spent) // 2] if spent else 0.0,
        "p99_ms": 1000 * spent[int(len(spent) * 0.99)] if spent else 0.0,
        "answers": len(spent),
    }


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["http", "grpc"])
    parser.add_argument("address")
    parser.add_argument("model")
    parser.add_argument("--key", default="")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    figures = run(asked.kind, asked.address, asked.model, asked.key, asked.concurrency, asked.seconds)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
