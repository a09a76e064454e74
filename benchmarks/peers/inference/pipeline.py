"""Roboflow's InferencePipeline over the same detector: watches cameras until its input ends, and counts.

    python -m benchmarks.peers.inference.pipeline FPS URL [URL ...]

Prints `{}` when it begins, then one JSON line every tenth of a second: `analysed` and `read` (frames so far, by camera) and
`ages` (seconds from a picture's arrival to its boxes, of the frames since the last line).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

TICK_S = 0.1
KEPT_S = 10.0
"""Arrivals of pictures that were left out are forgotten after this."""


def protocol_channel() -> Any:
    """Where lines are written: standard output as it was, which from now on gets what libraries print elsewhere."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return channel


class Counts:
    """What has come and what was done, by camera."""

    def __init__(self, cameras: int) -> None:
        self.analysed, self.read = [0] * cameras, [0] * cameras
        self.ages: list[float] = []
        self.arrived: list[dict[int, float]] = [{} for _ in range(cameras)]

    def on_status(self, update: Any) -> None:
        """A picture has come: the pipeline tells of each when it is grabbed."""
        if update.event_type == "FRAME_CAPTURED":
            source, now = update.payload["source_id"] or 0, time.monotonic()
            arrived = self.arrived[source]
            arrived[update.payload["frame_id"]] = now
            self.read[source] += 1
            if len(arrived) > 512:
                self.arrived[source] = {frame: at for frame, at in list(arrived.items()) if at > now - KEPT_S}

    def on_prediction(self, found: Any, frames: Any) -> None:
        """A round is done; with one camera it is no list."""
        for boxes, frame in (
            zip(found, frames, strict=True) if isinstance(frames, list) else [(found, frames)]
        ):
            if frame is not None and boxes is not None:
                source = frame.source_id or 0
                self.analysed[source] += 1
                at = self.arrived[source].pop(frame.frame_id, None)
                if at is not None:
                    self.ages.append(time.monotonic() - at)

    def line(self) -> str:
        """As it is sent."""
        ages, self.ages = self.ages, []
        return json.dumps({"analysed": self.analysed, "read": self.read, "ages": ages})


def main() -> None:
    """Watch until standard input ends."""
    channel = protocol_channel()
    fps, urls = float(sys.argv[1]), sys.argv[2:]
    from inference import InferencePipeline

    from benchmarks.peers.detector import Detector, DetectorSettings

    settings = DetectorSettings.read()
    detector, counts = Detector(settings, settings.workers), Counts(len(urls))
    lanes = ThreadPoolExecutor(settings.workers)

    def on_video_frame(frames: list[Any]) -> list[Any]:
        return list(lanes.map(detector.look, [frame.image for frame in frames]))

    pipeline = InferencePipeline.init_with_custom_logic(
        video_reference=urls if len(urls) > 1 else urls[0], on_video_frame=on_video_frame, on_prediction=counts.on_prediction,
        max_fps=fps, video_processing_mode="auto", status_update_handlers=[counts.on_status],
    )  # fmt: skip
    channel.write("{}\n")
    pipeline.start(use_main_thread=False)
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    while not ended.wait(TICK_S):
        channel.write(counts.line() + "\n")
    pipeline.terminate()
    os._exit(0)  # reading threads of cameras that are gone would keep it alive


if __name__ == "__main__":
    main()
