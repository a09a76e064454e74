"""Who asks, for the audit; and reads of evidence, noted whatever comes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated

from fastapi import Depends, Request

from aihub.errors import AihubError, StorageError
from aihub.serve.security import Caller
from aihub.storage.audit import AuditStore
from aihub.storage.records import Actor

logger = logging.getLogger(__name__)


async def _actor(request: Request) -> Actor:
    caller: Caller = request.scope["aihub.caller"]
    return Actor(caller.name, caller.tenant, caller.key_id, str(request.scope.get("aihub.address", "")))


TheActor = Annotated[Actor, Depends(_actor)]
"""The key behind the request and the address it came from."""


@contextmanager
def noting_failure(store: AuditStore, actor: Actor, action: str, subject: str) -> Iterator[None]:
    """Note what fails in the block; what goes well notes itself, in the transaction of the change."""
    try:
        yield
    except AihubError as error:
        _note_failure(store, actor, action, subject, error)
        raise


@contextmanager
def noting(store: AuditStore, actor: Actor, action: str, subject: str) -> Iterator[None]:
    """Note what is done in the block, with its outcome: `ok`, or the code of the error. Blocks while it writes.

    What went well is noted before the block's caller goes on, so nothing is handed out of which the audit does not know.

    Raises:
        StorageError: it cannot be noted, so it must not be done.
    """
    try:
        yield
    except AihubError as error:
        _note_failure(store, actor, action, subject, error)
        raise
    store.add_audit(actor, action, subject)


@asynccontextmanager
async def noted(store: AuditStore, actor: Actor, action: str, subject: str) -> AsyncIterator[None]:
    """The same on an event loop, which it does not hold up."""
    try:
        yield
    except AihubError as error:
        await asyncio.to_thread(_note_failure, store, actor, action, subject, error)
        raise
    await asyncio.to_thread(store.add_audit, actor, action, subject)


def _note_failure(store: AuditStore, actor: Actor, action: str, subject: str, error: AihubError) -> None:
    try:
        store.add_audit(actor, action, subject, outcome=error.code)
    except StorageError:
        # What failed must not be hidden by that; nothing was handed out.
        logger.exception("%s by %s (%s) could not be noted", action, actor.name, error.code)
