"""From what a caller sends to a stream that may be stored: address, credentials and tasks checked, every fault with its field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from aihub.algorithms.registry import Registry
from aihub.errors import AihubError, AlgorithmNotFoundError, ForbiddenError, ParamsError, UnsupportedTypeError
from aihub.serve.addresses import CameraAddress, check_camera
from aihub.serve.grants import granted, require_scopes
from aihub.serve.payloads import params_object
from aihub.serve.problems import invalid_model
from aihub.serve.schemas import StreamIn, StreamPatch, TaskIn
from aihub.serve.security import Caller
from aihub.types import InputKind, StreamSpec, StreamTask, uuid7
from aihub.types.addresses import AddressGuard

AT_ONCE = 32
"""Addresses looked up at the same time in a bulk request."""


class Intake:
    """Checks streams for one caller.

    Args:
        registry: the algorithms that tasks may name.
        guard: where cameras may be.
        caller: who asks.
    """

    def __init__(self, registry: Registry, guard: AddressGuard, caller: Caller) -> None:
        self._registry, self._guard, self._caller = registry, guard, caller
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def new(self, body: Mapping[str, Any]) -> StreamSpec:
        """A stream from the body of a request, or one item of a bulk request.

        Raises:
            ParamsError: a field is wrong; names it.
            AlgorithmNotFoundError: a task names an algorithm that nobody knows.
            AddressError: the address is wrong or may not be connected to.
            ForbiddenError: another tenant's, by a key that is not an administrator's, or a group without a grant.
        """
        try:
            asked = StreamIn.model_validate(body)
        except ValidationError as error:
            raise invalid_model(error) from error
        camera = CameraAddress.parse(asked.url)
        tasks = self.tasks(asked.tasks)
        async with self._turn:
            await check_camera(self._guard, camera)
        return StreamSpec(
            id=asked.id or uuid7(),
            name=asked.name,
            url=camera.url,
            username=asked.username or camera.username,
            password=asked.password.get_secret_value() or camera.password,
            transport=asked.transport,
            tasks=tasks,
            sampling=asked.sampling,
            enabled=asked.enabled,
            tenant=self.tenant(asked.tenant),
            group=self.group(asked.group),
        )

    async def many(self, bodies: Sequence[Mapping[str, Any]]) -> list[StreamSpec | AihubError]:
        """Each body as a stream or as what is wrong with it."""

        async def one(body: Mapping[str, Any]) -> StreamSpec | AihubError:
            try:
                return await self.new(body)
            except AihubError as error:
                return error

        return list(await asyncio.gather(*map(one, bodies)))

    async def changes(self, old: StreamSpec, patch: StreamPatch) -> dict[str, Any]:
        """What to change of a stream.

        A new host or port drops the stored credentials unless the request brings some: whoever may move a stream must
        not thereby send its password to a machine of their own.

        Raises:
            ParamsError: a field is wrong; names it.
            AlgorithmNotFoundError: a task names an algorithm that nobody knows.
            AddressError: the address is wrong or may not be connected to.
            ForbiddenError: a group without a grant.
        """
        given = {name: getattr(patch, name) for name in patch.model_fields_set}
        changes = {name: value for name, value in given.items() if value is not None}
        if patch.tasks is not None:
            changes["tasks"] = self.tasks(patch.tasks)
        if patch.group is not None:
            changes["group"] = self.group(patch.group)
        if patch.password is not None:
            changes["password"] = patch.password.get_secret_value()
        if patch.url is not None:
            changes = await self._moved(old, patch.url) | changes
            changes["url"] = CameraAddress.parse(patch.url).url
        return changes

    async def _moved(self, old: StreamSpec, url: str) -> dict[str, Any]:
        camera, before = CameraAddress.parse(url), CameraAddress.parse(old.url)
        await check_camera(self._guard, camera)
        same = (camera.host, camera.port) == (before.host, before.port)
        if same and not camera.username:
            return {}
        return {"username": camera.username, "password": camera.password}

    def tasks(self, asked: Sequence[TaskIn]) -> tuple[StreamTask, ...]:
        """Tasks whose algorithms exist and take these parameters.

        Raises:
            AlgorithmNotFoundError: suggests the nearest; `field` is `tasks[N].algorithm`.
            ParamsError: `field` is `tasks[N].params.NAME` or `tasks[N].id`.
            UnsupportedTypeError: the algorithm does not look at pictures.
        """
        made: dict[str, StreamTask] = {}
        for index, task in enumerate(asked):
            where = f"tasks[{index}]"
            self._check(task, where)
            name = task.id or _free(task.algorithm, made)
            if name in made:
                raise ParamsError(f"two tasks have the id {name!r}", field=f"{where}.id")
            made[name] = StreamTask(id=name, algorithm=task.algorithm, params=task.params)
        return tuple(made.values())

    def _check(self, task: TaskIn, where: str) -> None:
        try:
            algorithm = granted(self._registry, self._caller, task.algorithm)
        except AlgorithmNotFoundError as error:
            error.field = f"{where}.algorithm"
            raise
        require_scopes(self._caller, algorithm)
        if not {InputKind.IMAGE, InputKind.VIDEO} & set(algorithm.card.input):
            raise UnsupportedTypeError(
                f"{task.algorithm} does not look at pictures",
                field=f"{where}.algorithm",
                hint="send sound to POST /v1/audio/detections"
                if InputKind.AUDIO in algorithm.card.input
                else None,
            )
        try:
            _check_gallery(algorithm.resolve(params_object(task.params)).params)
        except ParamsError as error:
            named = error.field not in (None, "params")
            error.field = f"{where}.params.{error.field}" if named else f"{where}.params"
            raise

    def tenant(self, asked: str | None) -> str:
        """The tenant of a new thing.

        Raises:
            ForbiddenError: another's, by a key that is not an administrator's.
        """
        if asked is not None and asked != self._caller.tenant and not self._caller.admin:
            raise ForbiddenError("this key is not of that tenant", field="tenant")
        return asked or self._caller.tenant

    def group(self, asked: str) -> str:
        """The group of a stream.

        Raises:
            ForbiddenError: the caller's tenant has no grant for it.
        """
        if not self._caller.may_see_group(asked):
            raise ForbiddenError(
                f"this tenant has no grant for streams of the group {asked!r}",
                field="group",
                hint="an administrator grants groups: aihub tenants update",
            )
        return asked


def _check_gallery(params: Mapping[str, Any]) -> None:
    if params.get("gallery") == "":
        raise ParamsError("the name of a gallery is needed", field="gallery")


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    return next(f"{name}-{count}" for count in range(2, len(taken) + 3) if f"{name}-{count}" not in taken)
