"""What routes ask for: the parts of the app, and a caller who may do what the route does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from aihub.serve.admission import Admission
from aihub.serve.audio.desk import SoundDesk
from aihub.serve.fetching import Fetcher
from aihub.serve.galleries import HubGalleries
from aihub.serve.live import LiveFeed
from aihub.serve.live_pictures import LivePictures
from aihub.serve.oip.service import OipService
from aihub.serve.probe import Probe
from aihub.serve.security import Caller, Door
from aihub.serve.services import Services
from aihub.serve.workers import Workers
from aihub.types.addresses import AddressGuard


@dataclass(frozen=True)
class Parts:
    """What the app made from its services.

    Attributes:
        services: as handed in.
        door: checks keys.
        admission: lets computing requests in and books them.
        workers: threads that infer.
        fetcher: gets pictures that requests name by address.
        live: feed of `/v1/events/live`.
        pictures: newest pictures of streams.
        cameras: where cameras may be.
        webhooks: where webhooks may be.
        probe: whether the hub is ready.
        oip: models and algorithms for the Open Inference Protocol.
        sound: where recordings and live sound are worked on.
        galleries: faces of people who agreed to be known.
    """

    services: Services
    door: Door
    admission: Admission
    workers: Workers
    fetcher: Fetcher
    live: LiveFeed
    pictures: LivePictures
    cameras: AddressGuard
    webhooks: AddressGuard
    probe: Probe
    oip: OipService
    sound: SoundDesk
    galleries: HubGalleries


def parts_of(request: Request) -> Parts:
    """The parts of the app that serves a request."""
    parts: Parts = request.app.state.parts
    return parts


async def _parts(request: Request) -> Parts:
    return parts_of(request)


async def _services(request: Request) -> Services:
    return parts_of(request).services


def needs(*scopes: str) -> Any:
    """A dependency that gives the caller, if its key has one of these scopes (any valid key when none is named)."""

    async def dependency(request: Request) -> Caller:
        caller: Caller = request.scope["aihub.caller"]
        if scopes:
            caller.require(*scopes)
        return caller

    dependency.scopes = scopes  # type: ignore[attr-defined]  # read for the API's description and by its tests
    return Depends(dependency)


TheParts = Annotated[Parts, Depends(_parts)]
TheServices = Annotated[Services, Depends(_services)]
AnyCaller = Annotated[Caller, needs()]
Watcher = Annotated[Caller, needs("streams")]
Responder = Annotated[Caller, needs("events")]
Inferrer = Annotated[Caller, needs("infer")]
Reader = Annotated[Caller, needs("infer", "streams")]
UsageReader = Annotated[Caller, needs("infer", "streams", "events")]
FaceKeeper = Annotated[Caller, needs("faces")]
Scraper = Annotated[Caller, needs("metrics")]
Administrator = Annotated[Caller, needs("admin")]
