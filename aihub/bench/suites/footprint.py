"""Suite `footprint`: how long a hub takes to start, and what it, its streams, its models and its catalogue hold in memory.

Memory of a hub is that of its own processes, shared pages split between those that share them (PSS); Ray's own beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from aihub.bench import footage
from aihub.bench.cameras import CameraServer
from aihub.bench.hub.catalogue_cost import ask
from aihub.bench.hub.process import RunningHub, hub_for, resident_mb, running_hub
from aihub.bench.results import Stack, most
from aihub.bench.stand import NotHereError, Stand
from aihub.bench.suite import Options
from aihub.client import AihubClient
from aihub.errors import AihubError
from aihub.types import StreamState

Part = Literal["start", "streams", "models", "swap", "catalogue"]
CARDS = 150
"""For so many cards a listing may take half a second; the hub's own catalogue is counted down to it."""
LIVE_S = 60.0
"""Seconds in which a simulated camera must be live."""


class Settings(Options):
    """Settings of `footprint`."""

    parts: tuple[Part, ...] = Field(("start", "streams", "models", "swap", "catalogue"), description="What is measured.")  # fmt: skip
    turns: int = Field(
        3, ge=1, le=100, description="Hubs that are started, and processes of each other kind."
    )
    rest_s: float = Field(10.0, ge=0, le=600, description="Seconds a hub rests before its memory is read.")
    streams: int = Field(8, ge=1, le=64, description="Simulated cameras added to the first.")
    algorithm: str = Field("person-detection", description="What watches each camera.")
    models: int = Field(20, ge=1, le=200, description="Models held at once, those that the most algorithms use.")  # fmt: skip
    swapped: tuple[str, ...] = Field(
        ("yolox-nano", "yunet-640", "face-embedding", "yamnet", "ppocr-det"),
        description="Models whose loading after eviction is timed.",
    )
    swaps: int = Field(7, ge=1, le=1000, description="How often each is loaded again.")


def run(stand: Stand, settings: Settings) -> None:
    """Measure the parts that are asked for."""
    for name in settings.parts:
        with stand.part(name):
            PARTS[name](stand, settings)


def _start(stand: Stand, settings: Settings) -> None:
    starts, held, rays = [], [], []
    for turn in range(settings.turns):
        stand.say(f"start {turn + 1}")
        # A single one is that which the suites after this one share, in a short run: it was not there before.
        with hub_for(stand) if settings.turns == 1 else running_hub(profiles=stand.profiles) as hub:
            starts.append(hub.cold_start_s)
            time.sleep(settings.rest_s)
            memory = resident_mb(hub)
            held.append(memory["hub"])
            rays.append(memory["ray"])
    stand.add("cold-start", "Cold start to ready", statistics.median(starts), unit="s", kind="time", better="lower",
              target=most(20), samples=starts)  # fmt: skip
    stand.add("memory-at-rest", "Memory of a hub at rest, its own processes", statistics.median(held), unit="MB",
              kind="memory", better="lower", target=most(1200), samples=held,
              detail=f"{settings.rest_s:g} s after it was ready, all cards registered, nothing asked")  # fmt: skip
    stand.add("memory-at-rest-ray", "Memory of Ray's own processes beside it", statistics.median(rays), unit="MB",
              kind="memory", better="lower", samples=rays)  # fmt: skip


def _streams(stand: Stand, settings: Settings) -> None:
    missing = stand.engine.missing(stand.registry.get(settings.algorithm).models())
    if missing:
        raise NotHereError(f"the weights of {', '.join(missing)} are not here")
    clip = footage.yard(size=(640, 360), fps=10, seconds=20)
    with (
        CameraServer([clip], count=settings.streams + 1) as cameras,
        running_hub(profiles=stand.profiles) as hub,
        AihubClient(hub.url, hub.key) as client,
    ):
        _watch(client, [cameras.url(0)], settings, first=0)
        one = _settled(hub, settings)
        _watch(client, [cameras.url(at) for at in range(1, settings.streams + 1)], settings, first=1)
        all_of_them = _settled(hub, settings)
    each = (all_of_them["hub"] - one["hub"]) / settings.streams
    stand.add("memory-a-stream", "Memory that a further stream takes", each, unit="MB", kind="memory", better="lower",
              detail=f"1 stream {one['hub']:.0f} MB, {settings.streams + 1} streams {all_of_them['hub']:.0f} MB, all processes of the hub; "
              f"640x360, {settings.algorithm}")  # fmt: skip


def _watch(client: AihubClient, urls: list[str], settings: Settings, first: int) -> None:
    """Add cameras and wait until all are live and analysed."""
    names = [f"camera-{first + at}" for at in range(len(urls))]
    for name, url in zip(names, urls, strict=True):
        client.add_stream(url, [settings.algorithm], id=name)
    until = time.monotonic() + LIVE_S
    waiting = list(names)
    while waiting:
        states = {name: client.stream(name).status for name in waiting}
        waiting = [
            name for name, one in states.items() if one.state != StreamState.LIVE or not one.frames_analysed
        ]
        if waiting and time.monotonic() > until:
            one = states[waiting[0]]
            raise AihubError(f"{waiting[0]} is not live after {LIVE_S:.0f} s: {one.state} {one.error}")
        time.sleep(0.5)


def _settled(hub: RunningHub, settings: Settings) -> dict[str, float]:
    time.sleep(settings.rest_s)
    return resident_mb(hub)


def _models(stand: Stand, settings: Settings) -> None:
    taken = []
    for turn in range(max(1, settings.turns - 1)):
        stand.say(f"models, process {turn + 1}")
        taken.append(ask("models", str(settings.models)))
    totals = [float(one["mb"]) for one in taken]
    names = list(taken[0]["models"])
    each = {name: statistics.median(float(one["models"].get(name, 0.0)) for one in taken) for name in names}
    stand.add("memory-of-models", f"Memory of the {settings.models} most used models", statistics.median(totals), unit="MB",
              kind="memory", better="lower", target=most(1000), samples=totals,
              detail=f"{len(names)} models whose weights are here, runtime included; "
              + ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(each.items(), key=lambda row: -row[1])[:6]))  # fmt: skip
    bars = {name: {"resident": max(0.0, mb)} for name, mb in sorted(each.items(), key=lambda row: -row[1])}
    stand.stacks.append(Stack(name="models", title="Memory of each model, loaded after the others", unit="MB", bars=bars))  # fmt: skip


def _swap(stand: Stand, settings: Settings) -> None:
    for model in settings.swapped:
        with stand.part(f"swap of {model}"):
            if stand.engine.missing([model]):
                raise NotHereError(f"the weights of {model} are not here")
            stand.engine.warm([model])
            taken = [_loaded_again(stand, model) for _ in range(settings.swaps)]
            stand.add(f"swap/{model}", f"Loading {model} after it was evicted", statistics.median(taken), unit="ms",
                      kind="time", better="lower", samples=taken, labels={"model": model},
                      detail="until it is ready to run; weights on disk, settings known")  # fmt: skip


def _loaded_again(stand: Stand, model: str) -> float:
    """Milliseconds from the request to ready, of a model that was given up."""
    if not stand.engine.unload(model):
        raise AihubError(f"{model} is not given up although nobody uses it")
    begun = time.perf_counter()
    stand.engine.warm([model])
    return (time.perf_counter() - begun) * 1e3


def _catalogue(stand: Stand, settings: Settings) -> None:
    lists = [ask("list") for _ in range(settings.turns)]
    holds = [ask("hold") for _ in range(settings.turns)]
    cards = int(lists[0]["cards"])
    taken = [(float(one["read_s"]) + float(one["list_s"])) * CARDS / cards for one in lists]
    imported = statistics.median(float(one["import_s"]) for one in lists)
    stand.add("listing", f"Listing {CARDS} cards with their readiness", statistics.median(taken), unit="s", kind="time",
              better="lower", target=most(0.5), samples=taken,
              detail=f"{cards} cards were read and asked, counted down to {CARDS}; importing the libraries and all stages before that {imported:.2f} s")  # fmt: skip
    heavy = sorted({str(name) for one in lists for name in one["heavy"]})
    stand.add("heavy-libraries", "Heavy libraries that the registry loads", len(heavy), unit="", kind="count",
              better="lower", target=most(0), detail=", ".join(heavy) or "none")  # fmt: skip
    held = [float(one["mb"]) for one in holds]
    stand.add("memory-of-cards", f"Memory of {cards} cards registered and idle", statistics.median(held), unit="MB",
              kind="memory", better="lower", target=most(50), samples=held)  # fmt: skip


PARTS: dict[str, Callable[[Stand, Settings], None]] = {
    "start": _start, "streams": _streams, "models": _models, "swap": _swap, "catalogue": _catalogue,
}  # fmt: skip
