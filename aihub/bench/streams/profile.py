"""Where a frame's time goes: one stream, or a picture shown as one, through the stream host in a process of its own, stage by stage.

The stages are those of the hub's own metrics (see `docs/architecture.md`), read before and after; nothing runs here that a hub
does not run too. A flame graph comes from a second run under py-spy, so that its sampling is not in the figures.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client import Histogram

from aihub.algorithms.base import stage_type
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.streams.cameras_apart import cameras_apart, source_of
from aihub.bench.streams.hosting import Watched, hosted
from aihub.errors import AihubError, InputError
from aihub.telemetry import FRAME_SECONDS, INFERENCE_SECONDS, QUEUE_SECONDS, STAGE_SECONDS

DRAWN = "drawn:yard@1280x720,25fps"
RATE_HZ = 100
_START_S = 180.0
"""Beyond the seconds that are profiled: models may have to be loaded."""
NOT_PERMITTED = "ptrace is not permitted here: run as the same user with CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope=0"


class FlameGraphError(AihubError):
    """py-spy could not look into the process."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is profiled.

    Attributes:
        media: a clip, a picture, or a drawn scene; see `cameras_apart.source_of`.
        algorithms: all on it.
        fps: frames analysed a second.
        seconds: how long.
    """

    media: str
    algorithms: tuple[str, ...]
    fps: float = 5.0
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a frame's time.

    Attributes:
        name: of the step.
        ms: mean of a frame.
        share: of the time from decoded to done; of none for "decode", which is before that.
        detail: of which model or stage.
    """

    name: str
    ms: float
    share: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """The result.

    Attributes:
        frames: that were analysed.
        wall_ms: mean of a frame from decoded to done.
        cpu_ms: CPU of the whole process, a frame that was analysed.
        steps: in the order in which a frame meets them. All but "decode" sum to `wall_ms`, except for what ran side by side.
        parallel_ms: by how much the steps are more than the wall: models that ran at the same time.
    """

    media: str
    algorithms: tuple[str, ...]
    seconds: float
    frames: int
    wall_ms: float
    cpu_ms: float
    steps: tuple[Step, ...]
    parallel_ms: float


Sums = dict[tuple[str, ...], tuple[float, float]]
"""Sum and count of every histogram, by name and labels."""


def measure(asked: Asked, folder: Path) -> Profile:
    """Profile in this process, which does nothing else.

    Args:
        asked: what.
        folder: for working files.

    Raises:
        NotHereError: an algorithm cannot run here, or nothing was analysed.
        InputError: no such media.
    """
    stand = Stand(folder)
    try:
        names = [model for name in asked.algorithms for model in stand.registry.get(name).models()]
        stand.engine.warm(list(dict.fromkeys(names)))
        with cameras_apart([asked.media]) as apart, hosted(stand.engine, stand.registry, [Watched(apart.urls[0], asked.algorithms, asked.fps)]) as running:  # fmt: skip
            before = sums()
            taken = running.take(asked.seconds)
            after = sums()
    finally:
        stand.close()
    spent = {key: (total - before.get(key, (0, 0))[0], count - before.get(key, (0, 0))[1]) for key, (total, count) in after.items()}  # fmt: skip
    frames = round(spent.get((FRAME_SECONDS._name, "results"), (0, 0))[1])  # noqa: SLF001 - there is no public name
    if not frames:
        raise NotHereError("no frame was analysed in that time", hint="more seconds, or more frames a second")
    return _profile(asked, spent, frames, taken.cpu_s)


def sums() -> Sums:
    """Sums and counts of the histograms that a frame passes through, in this process."""
    found: Sums = {}
    for histogram in (FRAME_SECONDS, STAGE_SECONDS, INFERENCE_SECONDS, QUEUE_SECONDS):
        for name, labels, total, count in _read(histogram):
            found[name, *labels] = (total, count)
    return found


def _read(histogram: Histogram) -> Iterator[tuple[str, tuple[str, ...], float, float]]:
    for family in histogram.collect():
        totals = {tuple(s.labels.values()): s.value for s in family.samples if s.name.endswith("_sum")}
        counts = {tuple(s.labels.values()): s.value for s in family.samples if s.name.endswith("_count")}
        for labels, total in totals.items():
            yield family.name, labels, total, counts.get(labels, 0.0)


def _profile(asked: Asked, spent: Sums, frames: int, cpu_s: float) -> Profile:
    frame, inference, queue, stage = (one._name for one in (FRAME_SECONDS, INFERENCE_SECONDS, QUEUE_SECONDS, STAGE_SECONDS))  # noqa: SLF001  # fmt: skip

    def ms(*key: str) -> float:
        return 1e3 * spent.get(key, (0.0, 0.0))[0] / frames

    models = sorted({key[1] for key in spent if key[0] == inference and spent[key][1]})
    stages = sorted({key[1] for key in spent if key[0] == stage and spent[key][1]})
    letterbox = sum(ms(inference, model, "prepare") for model in models)
    own = {name: ms(stage, name) for name in stages}
    asking = [name for name in stages if name == "detect"]
    tracking = [name for name in stages if name == "track"]
    rules = [name for name in stages if _is_rule(name)]
    others = [name for name in stages if name not in (*asking, *tracking, *rules)]
    steps = [
        ("convert", ms(frame, "convert"), ""),
        ("wait", max(0.0, ms(frame, "wait") - ms(frame, "convert")), ""),
        ("letterbox", letterbox, ""),
        ("model queue", sum(ms(queue, model) for model in models), ""),
        *((f"model {model}", ms(inference, model, "run"), "") for model in models),
        ("boxes and NMS", sum(ms(inference, model, "decode") for model in models), ""),
        ("tracking", sum(own[name] for name in tracking), ""),
        *((f"stage {name}", own[name], "") for name in others),
        ("rules", sum(own[name] for name in rules), ", ".join(rules)),
        ("events", ms(frame, "results"), ""),
    ]
    asked_own = max(0.0, sum(own[name] for name in asking) - letterbox)
    wall = sum(ms(frame, step) for step in ("wait", "analyse", "results"))
    known = sum(one[1] for one in steps) + asked_own
    steps.append(("other", asked_own + max(0.0, wall - known), "asking for models, waking threads"))
    received = spent.get((frame, "receive"), (0.0, 0.0))[0]
    return Profile(
        media=asked.media if asked.media.startswith("drawn:") else Path(asked.media).name,
        algorithms=asked.algorithms,
        seconds=asked.seconds,
        frames=frames,
        wall_ms=wall,
        cpu_ms=1e3 * cpu_s / frames,
        steps=(
            Step("decode", 1e3 * received / frames, None, "CPU of all pictures that came meanwhile, before the frame's own time"),
            *(Step(name, took, took / wall if wall else 0.0, detail) for name, took, detail in steps),
        ),
        parallel_ms=max(0.0, known - wall),
    )  # fmt: skip


def _is_rule(name: str) -> bool:
    return stage_type(name).__module__.startswith("aihub.streams.rules.")


def run(asked: Asked, flame: Path | None = None) -> tuple[Profile, str]:
    """Profile in a process of its own; then again under py-spy, where a flame graph is wanted.

    Args:
        asked: what.
        flame: SVG to write.

    Returns:
        The profile, and why there is no flame graph: empty where there is one, or none was wanted.

    Raises:
        AihubError: whatever the profiled process says is wrong.
        InputError: no such media.
    """
    source_of(asked.media)
    with tempfile.TemporaryDirectory(prefix="aihub-profile-", ignore_cleanup_errors=True) as folder:
        profile = _in_child(asked, Path(folder))
        try:
            if flame is not None:
                _flame(asked, Path(folder), flame)
        except FlameGraphError as error:
            return profile, str(error)
    return profile, ""


def _command(asked: Asked, folder: Path) -> list[str]:
    return [sys.executable, "-m", "aihub.bench.streams.profile", json.dumps(asdict(asked)), str(folder)]


def _in_child(asked: Asked, folder: Path) -> Profile:
    code, said = _call(_command(asked, folder), asked.seconds + _START_S)
    path = folder / "profile.json"
    if code or not path.exists():
        raise AihubError(
            said.strip().splitlines()[-1] if said.strip() else f"the profiled process ended with {code}"
        )
    found = json.loads(path.read_text(encoding="utf-8"))
    if "error" in found:
        raise InputError(found["error"], hint=found["hint"])
    found["steps"] = tuple(Step(**step) for step in found["steps"])
    return Profile(**{**found, "algorithms": tuple(found["algorithms"])})


def _flame(asked: Asked, folder: Path, into: Path) -> None:
    beside = Path(sys.executable).with_name("py-spy")
    spy = str(beside) if beside.exists() else shutil.which("py-spy")
    if spy is None:
        raise FlameGraphError("py-spy is missing", hint="pip install 'aihub[bench]'")
    drawn = folder / "flame.svg"
    options = [
        "record",
        "--format",
        "flamegraph",
        "--rate",
        str(RATE_HZ),
        "--threads",
        "--output",
        str(drawn),
        "--",
    ]
    code, said = _call([spy, *options, *_command(asked, folder)], asked.seconds + _START_S)
    if not drawn.exists():
        refused = "ermission" in said or "ptrace" in said
        last = said.strip().splitlines()[-1] if said.strip() else f"py-spy ended with {code}"
        raise FlameGraphError(NOT_PERMITTED if refused else f"py-spy: {last}")
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(drawn, into)


def _call(command: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run a command in a session of its own, so that nothing of it is left when its time is over."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as child:
        try:
            said, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            said = f"no end after {timeout_s:.0f} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return child.returncode, said


def main() -> None:
    """The profiled process: what is asked for, and the folder for the answer, as arguments."""
    given = json.loads(sys.argv[1])
    asked, folder = Asked(**{**given, "algorithms": tuple(given["algorithms"])}), Path(sys.argv[2])
    try:
        answer = asdict(measure(asked, folder / "work"))
    except AihubError as error:
        answer = {"error": error.message, "hint": error.hint}
    (folder / "profile.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
