"""False alarms and recall of every picture-quality algorithm on the real test media.

    python -m benchmarks.picture_quality [--half tune|test|both] [--only ID] [--json]

1. All good clips, each played for at least 20 seconds (short ones to and fro), and all good pictures go through every algorithm with
   the defaults of its card. An alarm of a clip, or a fault of a picture, is false.
2. Each clip is shown for six seconds as it is and then degraded (`aihub/scenes/degrade.py`) at two strengths; an alarm must come
   after that and none before. Each picture is degraded too, for the algorithms that look at one picture.
3. For `mosaic-corruption` bytes of the H.264 files are damaged and decoded: real artefacts of a real decoder. A frame counts as
   broken when a twentieth of its blocks differ from the good decoding.

The media are cut in two by a hash of their names. What is missed was tuned on the half `tune` only, and the half `test` is
what cards state. The first thresholds against false alarms were set while looking at the good media of both halves, so that for false
alarms the halves are not independent; other media would say more.
Figures of a strength are kept apart: `mild` is where a fault should be found, `strong` is where nobody would miss it. Close-ups of plates,
scanned text and drawn codes are not what cameras of a scene give, and are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aihub.algorithms.expectations import Watch
from aihub.algorithms.inference import infer
from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.errors import AihubError
from aihub.scenes.degrade import DEGRADATIONS, Degradation
from aihub.settings import Settings
from aihub.testing import FakePredictor
from aihub.types import Findings, Frame, Image, InputKind, Quality

FPS = 5.0
SLOWER = 2.5
"""Frames a second where a fault needs no time to be seen."""
LEAST_S, MOST_S = 20.0, 60.0
GOOD_S, BAD_S, FROZEN_S = 6.0, 13.0, 20.0
SCENES = ("coco", "faces", "fire_smoke", "liveness")
DAMAGE = 3e-4
"""Share of the bytes of a film that are damaged."""
EPOCH = 1_767_225_600.0
NOBODY = FakePredictor()
REGISTRY = Registry(NOBODY)


def half_of(name: str) -> str:
    """Which half a file belongs to, by its name."""
    return "tune" if hashlib.sha256(name.encode()).digest()[0] % 2 == 0 else "test"


def clip_frames(path: Path) -> list[Image]:
    """A clip at `FPS`, for `MOST_S` seconds at most."""
    capture, frames, wanted, index = cv2.VideoCapture(str(path)), [], 0, 0
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    while index / rate < MOST_S and capture.grab():
        if index / rate + 1e-6 >= wanted / FPS:
            wanted += 1
            ok, image = capture.retrieve()
            if ok:
                frames.append(np.asarray(image, np.uint8))
        index += 1
    capture.release()
    return frames


def played(frames: Sequence[Image], seconds: float) -> Iterator[Image]:
    """To and fro until the time is over."""
    there_and_back = [*frames, *frames[-2:0:-1]]
    for index in range(round(seconds * FPS)):
        yield there_and_back[index % len(there_and_back)]


def timed(images: Iterator[Image], fps: float = FPS) -> Iterator[Frame]:
    """Frames of a clip at that rate."""
    for seq, image in enumerate(images):
        yield Frame(image, "bench", seq, EPOCH + seq / fps, seq / fps)


def algorithms() -> list[str]:
    """Ids of all picture-quality algorithms that need no model."""
    found = [one.card for one in REGISTRY.list() if one.card.domain == "picture-quality" and not one.models()]
    return sorted(card.id for card in found)


def alarms(ids: Sequence[str], frames: Iterator[Frame]) -> dict[str, list[float]]:
    """Times at which each algorithm opened an event."""
    plan, watches = Plan(NOBODY), dict[str, Watch]()
    times: dict[str, list[float]] = defaultdict(list)
    for name in ids:
        plan.set(name, REGISTRY.get(name), {})
        watches[name] = Watch(REGISTRY.get(name).card.event)
    for frame in frames:
        for name, result in plan.run(frame).items():
            if isinstance(result, AihubError):
                raise result
            before = watches[name].events
            watches[name].see(result, frame.monotonic)
            times[name] += [frame.monotonic] * (watches[name].events - before)
    return dict(times)


def faulty(name: str, image: Image) -> bool:
    """Whether an algorithm sees a fault on a picture alone."""
    (result,) = infer(REGISTRY.get(name), [Frame(image, "bench", 0, EPOCH, 0.0)], {}, NOBODY)
    verdict = result.found if isinstance(result, Findings) else result
    return isinstance(verdict, Quality) and verdict.fault


def damaged(data: bytes, share: float) -> bytes:
    """A film with bytes changed by chance in its pictures, never in its first tenth."""
    begin = data.find(b"mdat") + 4
    length = int.from_bytes(data[begin - 8 : begin - 4], "big") - 8
    rng, made = np.random.default_rng(0), bytearray(data)
    places = rng.integers(begin + length // 10, begin + length, int(length * share))
    for place, value in zip(places.tolist(), rng.integers(256, size=len(places)).tolist(), strict=True):
        made[place] = value
    return bytes(made)


def broken(good: Image, seen: Image) -> bool:
    """Whether a twentieth of the 16-pixel blocks differ by 20 grey levels and more in the mean."""
    if good.shape != seen.shape:
        return True
    off = cv2.absdiff(good, seen).astype(np.float32).mean(axis=2)
    size = (max(good.shape[1] // 16, 1), max(good.shape[0] // 16, 1))
    return bool(np.mean(np.asarray(cv2.resize(off, size, interpolation=cv2.INTER_AREA)) > 20) >= 0.05)


def false_alarms(
    clips: dict[str, list[Image]], pictures: dict[str, Image], ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """For each algorithm the good clips and pictures on which it raised something."""
    rows: dict[str, dict[str, Any]] = {name: {"clips": [], "pictures": []} for name in ids}
    for clip, frames in clips.items():
        seconds = max(LEAST_S, len(frames) / FPS)
        for name, times in alarms(ids, timed(played(frames, seconds))).items():
            if times:
                rows[name]["clips"].append(f"{clip} at {times[0]:.1f} s")
    for name in ids:
        if InputKind.IMAGE in REGISTRY.get(name).card.input:
            rows[name]["pictures"] = [one for one, image in pictures.items() if faulty(name, image)]
    return rows


def recall(one: Degradation, clips: dict[str, list[Image]], pictures: dict[str, Image]) -> dict[str, Any]:
    """How many clips gave an alarm after the fault set in, and none before, and how many pictures showed the fault."""
    row: dict[str, Any] = {"fault": one.fault, "unit": one.unit}
    fps = FPS if one.moving else SLOWER
    every = round(FPS / fps)
    for strength in ("mild", "strong"):
        value = getattr(one, strength)
        missed = []
        for clip, frames in clips.items():
            shown = (
                one.change(image, index / FPS, value if index / FPS >= GOOD_S else 0.0)
                for index, image in enumerate(played(frames, GOOD_S + BAD_S))
                if index % every == 0
            )
            times = alarms([one.fault], timed(shown, fps)).get(one.fault, [])
            if not times or times[0] < GOOD_S:
                missed.append(clip)
        row[strength] = {"value": value, "clips": [len(clips) - len(missed), len(clips)], "missed": missed}
        if not one.moving:
            lost = [
                name
                for name, image in pictures.items()
                if not faulty(one.fault, one.change(image, 1.0, value))
            ]
            row[strength] |= {
                "pictures": [len(pictures) - len(lost), len(pictures)],
                "missed_pictures": lost[:8],
            }
    return row


def damage_recall(paths: Sequence[Path]) -> dict[str, Any]:
    """`mosaic-corruption` on films that were damaged: how many gave an alarm of those that were broken for a second."""
    found, shown, missed = 0, 0, []
    for path in paths:
        good = clip_frames(path)
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder) / "damaged.mp4"
            film.write_bytes(damaged(path.read_bytes(), DAMAGE))
            seen = clip_frames(film)
        bad = [broken(one, other) for one, other in zip(good, seen, strict=False)]
        if sum(bad) < 2 * FPS:
            continue
        shown += 1
        times = alarms(["mosaic-corruption"], timed(iter(seen))).get("mosaic-corruption", [])
        found += bool(times)
        missed += [] if times else [path.name]
    return {"clips": [found, shown], "missed": missed}


def still_and_slow(clips: dict[str, list[Image]]) -> dict[str, list[int]]:
    """`frozen-picture` on clips that stop, `frame-rate-low` on clips of one frame a second: alarms of clips."""
    froze = slow = 0
    for frames in clips.values():
        shown = list(played(frames, GOOD_S))
        frozen = [*shown, *[shown[-1]] * round(FROZEN_S * FPS)]
        froze += bool(alarms(["frozen-picture"], timed(iter(frozen))).get("frozen-picture"))
        seldom = (frame for frame in timed(played(frames, LEAST_S)) if frame.seq % round(FPS) == 0)
        slow += bool(alarms(["frame-rate-low"], seldom).get("frame-rate-low"))
    return {"frozen-picture": [froze, len(clips)], "frame-rate-low": [slow, len(clips)]}


def main() -> None:
    """Measure and say what came."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=("tune", "test", "both"), default="test")
    parser.add_argument("--only", default="", help="id of one algorithm")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    asked = parser.parse_args()
    media = Path(Settings().test_media or "")
    films = [
        path for path in sorted((media / "video").glob("*.mp4")) if asked.half in ("both", half_of(path.name))
    ]
    if not films:
        sys.exit("set AIHUB_TEST_MEDIA to the folder of the real test media")
    paths = [path for kind in SCENES for path in sorted((media / "images" / kind).glob("*.jpg"))]
    pictures = {
        path.name: np.asarray(cv2.imread(str(path)), np.uint8)
        for path in paths
        if asked.half in ("both", half_of(path.name))
    }
    clips = {path.name: clip_frames(path) for path in films}
    ids = [name for name in algorithms() if asked.only in ("", name)]
    report: dict[str, Any] = {
        "half": asked.half, "clips": len(clips), "pictures": len(pictures), "false": false_alarms(clips, pictures, ids),
        "recall": {},
    }  # fmt: skip
    for name, one in DEGRADATIONS.items():
        if one.fault in ids:
            report["recall"][name] = recall(one, clips, pictures)
            sys.stderr.write(f"{name}\n")
    if "mosaic-corruption" in ids:
        report["recall"]["damaged-films"] = damage_recall(films)
    if not asked.only:
        report["recall"] |= still_and_slow(clips)
    sys.stdout.write(json.dumps(report, indent=1) if asked.json else table(report))
    sys.stdout.write("\n")


def table(report: dict[str, Any]) -> str:
    """The report in lines."""
    lines = [
        f"half {report['half']}: {report['clips']} clips, {report['pictures']} pictures",
        "false alarms:",
    ]
    for name, row in report["false"].items():
        lines.append(
            f"  {name:20} clips {len(row['clips'])} pictures {len(row['pictures'])} {row['clips']} {row['pictures'][:5]}"
        )
    lines.append("recall:")
    for name, row in report["recall"].items():
        if isinstance(row, list) or "clips" in row:
            lines.append(f"  {name:20} {row}")
            continue
        for strength in ("mild", "strong"):
            one = row[strength]
            seen = " ".join(
                f"{kind} {one[kind][0]}/{one[kind][1]}" for kind in ("clips", "pictures") if kind in one
            )
            lost = [*one["missed"], *one.get("missed_pictures", [])]
            lines.append(f"  {name:20} {row['fault']:18} {strength:6} {one['value']:<6g} {seen} {lost}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
