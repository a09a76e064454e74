"""Throughput and latencies of an algorithm over both faces of the Open Inference Protocol, from 1 to 32 callers at once.

python -m benchmarks.sweep [--analyzer PATH] [--model person-detection] [--seconds 5] [--out docs/performance.md]

Triton's perf_analyzer drives where there is one: on the PATH, or named with --analyzer. It comes in no package of its own
(perf-analyzer 0.1.0 is empty), but in the wheels of tritonclient up to 2.57:

    pip download --no-deps tritonclient==2.51.0 && unzip -j tritonclient-2.51.0*.whl '*/bin/perf_analyzer'

That one wants libb64 (Debian: libb64-0d) and libcudart.so.12 (pip: nvidia-cuda-runtime-cu12), no GPU; later ones want glibc
2.38. Without it the same sweep is driven by tritonclient, which is Python and so takes more of the cores it shares with the hub.
"""

from __future__ import annotations

import argparse
import base64
import csv
import importlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aihub.bench.hub.process import RunningHub, running_hub
from aihub.settings import Settings

LEVELS = (1, 2, 4, 8, 16, 32)
PICTURE = "images/coco/000000000036.jpg"
WINDOWS = 5
"""Most windows in which perf_analyzer looks for two that agree."""
BEGIN, END = "<!-- sweep: begin -->\n", "<!-- sweep: end -->\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; latencies in ms.

    Attributes:
        protocol: `http` or `grpc`.
        callers: at once, each waiting for its answer before it asks again.
        rate: answers a second.
        p50, p90, p95, p99: latencies as the client sees them.
        client: sending and receiving inside the client, network included; mean.
        server: queue and computing inside the hub; mean.
    """

    protocol: str
    callers: int
    rate: float
    p50: float
    p90: float
    p95: float
    p99: float
    client: float
    server: float


def address_of(hub: RunningHub, protocol: str) -> str:
    """Where a face listens, without a scheme."""
    return hub.grpc if protocol == "grpc" else hub.url.removeprefix("http://")


def by_analyzer(
    binary: str, hub: RunningHub, protocol: str, model: str, picture: bytes, seconds: float
) -> list[Row]:
    """Let perf_analyzer measure all levels."""
    with tempfile.TemporaryDirectory(prefix="aihub-sweep-") as folder:
        data, out = Path(folder) / "data.json", Path(folder) / "out.csv"
        element = struct.pack("<I", len(picture)) + picture
        data.write_text(json.dumps({"data": [{"image": {"b64": base64.b64encode(element).decode()}}]}))
        rows = []
        for level in LEVELS:
            command = [binary, "-m", model, "-u", address_of(hub, protocol), "-i", protocol, "--input-data", str(data),
                       "--shape", "image:1", "--concurrency-range", f"{level}:{level}", "--percentile", "95",
                       "-p", str(int(seconds * 1000)), "-r", str(WINDOWS), "-f", str(out), "--verbose-csv",
                       "-H", f"authorization:Bearer {hub.key}"]  # fmt: skip
            out.unlink(missing_ok=True)
            # Windows that agree within 15 %; on a machine that does other things besides, the last three as they are.
            for apart in ("15", "999"):
                limit_s = 60 + seconds * (WINDOWS + 2)
                subprocess.run([*command, "-s", apart], stdout=sys.stderr, timeout=limit_s, check=False)
                if out.exists():
                    break
            if not out.exists():
                sys.stderr.write(f"{protocol}, {level} callers: perf_analyzer gave no figures, see above\n")
                continue
            rows += [_told(protocol, line) for line in csv.DictReader(out.read_text().splitlines())]
        return rows


def _told(protocol: str, line: dict[str, str]) -> Row:
    def ms(*names: str) -> float:
        return sum(float(line[name] or 0) for name in names) / 1000

    server = ms("Server Queue", "Server Compute Input", "Server Compute Infer", "Server Compute Output")
    client = ms("Client Send", "Network+Server Send/Recv", "Client Recv")
    p50, p90, p95, p99 = (ms(f"p{share} latency") for share in (50, 90, 95, 99))
    callers, rate = int(line["Concurrency"]), float(line["Inferences/Second"])
    return Row(protocol, callers, rate, p50, p90, p95, p99, client, server)


def by_tritonclient(
    hub: RunningHub, protocol: str, model: str, picture: Path, seconds: float, level: int
) -> Row:
    """Measure one level with Python's client, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sweep", "--drive", protocol, "--address", address_of(hub, protocol),
               "--model", model, "--picture", str(picture), "--seconds", str(seconds), "--callers", str(level)]  # fmt: skip
    environment = os.environ | {"AIHUB_KEY": hub.key}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60, env=environment
    )
    return Row(**json.loads(done.stdout))


def drive(protocol: str, address: str, model: str, picture: bytes, seconds: float, callers: int) -> Row:
    """Ask from so many threads for some seconds."""
    triton: Any = importlib.import_module(f"tritonclient.{protocol}")
    headers = {"authorization": f"Bearer {os.environ['AIHUB_KEY']}"}
    times: list[list[float]] = [[] for _ in range(callers)]

    def counted() -> tuple[int, int]:
        with triton.InferenceServerClient(address) as client:
            told = client.get_inference_statistics(
                model, headers=dict(headers), **({"as_json": True} if protocol == "grpc" else {})
            )
        success = told["model_stats"][0]["inference_stats"].get("success", {})
        return int(success.get("count", 0)), int(success.get("ns", 0))

    def ask(mine: list[float], until: float) -> None:
        element = triton.InferInput("image", [1], "BYTES")
        element.set_data_from_numpy(np.array([picture], np.object_))
        with triton.InferenceServerClient(address) as client:
            client.infer(model, [element], headers=dict(headers))  # opens the connection
            while (begun := time.perf_counter()) < until:
                client.infer(model, [element], headers=dict(headers))
                mine.append(time.perf_counter() - begun)

    ask([], time.perf_counter())  # loads the models
    before = counted()
    begun = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(mine, begun + seconds)) for mine in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    after = counted()
    spent = np.array([one for mine in times for one in mine]) * 1000
    server = (after[1] - before[1]) / max(1, after[0] - before[0]) / 1e6
    p50, p90, p95, p99 = (float(np.percentile(spent, share)) for share in (50, 90, 95, 99))
    return Row(protocol, callers, len(spent) / took, p50, p90, p95, p99, float(spent.mean()) - server, server)


def table(rows: list[Row], by: str, model: str) -> str:
    """Markdown."""
    lines = [f"`{model}`, one JPEG a request, driven by {by}; the client runs on the same cores. Latencies in ms.\n\n",
             "| protocol | callers | answers/s | p50 | p90 | p95 | p99 | client send/recv | in the hub |\n",
             "|---|---|---|---|---|---|---|---|---|\n"]  # fmt: skip
    lines += [
        f"| {row.protocol} | {row.callers} | {row.rate:.1f} | {row.p50:.1f} | {row.p90:.1f} | {row.p95:.1f} | "
        f"{row.p99:.1f} | {row.client:.2f} | {row.server:.1f} |\n"
        for row in rows
    ]
    return "".join(lines)


def sweep(model: str, picture: Path, seconds: float, analyzer: str | None) -> str:
    """Start a hub, sweep both faces, give the table."""
    rows: list[Row] = []
    with running_hub(grpc=True) as hub:
        for protocol in ("http", "grpc"):
            if analyzer:
                rows += by_analyzer(analyzer, hub, protocol, model, picture.read_bytes(), seconds)
            else:
                rows += [by_tritonclient(hub, protocol, model, picture, seconds, level) for level in LEVELS]
    return table(rows, "perf_analyzer" if analyzer else "tritonclient (Python)", model)


def main() -> None:
    """Parse, sweep, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--analyzer", default=shutil.which("perf_analyzer"))
    parser.add_argument("--model", default="person-detection")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, help="page in which the table stands between two comments")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    parser.add_argument("--callers", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    picture = asked.picture or Path(Settings().test_media) / PICTURE
    if asked.drive:
        row = drive(
            asked.drive, asked.address, asked.model, picture.read_bytes(), asked.seconds, asked.callers
        )
        sys.stdout.write(json.dumps({name: getattr(row, name) for name in Row.__slots__}))
        return
    text = sweep(asked.model, picture, asked.seconds, asked.analyzer)
    sys.stdout.write(text)
    if asked.out:
        head, _, rest = asked.out.read_text().partition(BEGIN)
        asked.out.write_text(head + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
