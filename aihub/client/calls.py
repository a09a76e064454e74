"""How a call of the API is described: once, for the client that blocks and for the one that is awaited.

class StreamCalls:
    @call("GET", "/v1/streams/{stream_id}")
    def stream(self, stream_id: str) -> Call[Stream]:
        return Call(one(Stream), ids=(stream_id,))

On a `Blocking` client `hub.stream("gate")` is a `Stream`; on an `Awaited` one it is a coroutine that gives one. Editors
and mypy see the arguments of the description with the answer of the client at hand. `AihubClient.stream.route` is the
method and path, so a test can walk the API's description and find what has no method here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper, wraps
from inspect import signature
from pathlib import Path
from types import MethodType
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Self, TypeVar, overload
from urllib.parse import quote

import httpx2

from aihub.errors import InputError
from aihub.types.answers import Answer

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound=Answer)

Body = Callable[[], Mapping[str, Any]]
"""Makes what httpx2 takes as the body. It may read files, so it never runs in an event loop; files that it leaves open are
closed when the body was sent."""

Read = Callable[[httpx2.Response], T]
"""Reads an answer that is no error. Raises ValueError, KeyError or TypeError where it is not what a hub says."""


class Route(NamedTuple):
    """Method and path of an operation, as the API's description has them."""

    method: str
    path: str

    def filled(self, ids: tuple[str, ...]) -> str:
        """The path with these ids in the places of its parameters, in order.

        Raises:
            InputError: one of them would lead to another path.
        """
        filled = self.path
        for value in ids:
            if value in ("", ".", ".."):
                raise InputError(f"{value!r} is no id", field=filled.partition("{")[2].partition("}")[0])
            before, _, after = filled.partition("{")
            filled = before + quote(value, safe="") + after.partition("}")[2]
        return filled


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question and its answer.

    Attributes:
        read: makes the answer.
        ids: for the parameters of the path, in order.
        query: of the address.
        headers: of the request.
        json: body as JSON values, unless None.
        body: any other body.
        again: whether it may be made twice; None means as the method allows. What the hub refuses with "not now"
            (429) was not done, so it is always tried again.
        also: statuses of errors that are answers here.
        timeout_s: deadline that the hub is told, seconds; None means the hub's own.
        to: file that the body of the answer is written to as it comes; `read` then sees none of it.
    """

    read: Read[T]
    ids: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: Body | None = None
    again: bool | None = None
    also: frozenset[int] = frozenset()
    timeout_s: float | None = None
    to: Path | None = None


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that comes in pages.

    Attributes:
        read: makes one row.
        ids: for the parameters of the path, in order.
        query: of the address, without the cursor.
        limit: rows at most; None means all.
    """

    read: Callable[[Any], T]
    ids: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Feed(Generic[T]):
    """Server-sent events, or lines, as they come.

    Attributes:
        read: makes one item; None passes over what is for nobody.
        ids: for the parameters of the path, in order.
        query: of the address.
        body: of the request, if it has one.
        reconnect: whether to listen again after a break.
        place: of an item, the `Last-Event-ID` to go on after it; empty where there is none.
        after: place to begin after, if not now.
        last: whether an item is the last one.
        lines: whether lines come, each of them as the data of a message.
        timeout_s: deadline that the hub is told, seconds, and longest silence; None for a feed that has no end.
    """

    read: Callable[[httpx2.ServerSentEvent], T | None]
    ids: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None
    reconnect: bool = False
    place: Callable[[T], str] = lambda _: ""
    after: str = ""
    last: Callable[[T], bool] = lambda _: False
    lines: bool = False
    timeout_s: float | None = None


class Blocking(ABC):
    """A client whose methods wait for the answer."""

    @abstractmethod
    def ask(self, route: Route, call: Call[T]) -> T:
        """Make a call."""

    @abstractmethod
    def turn(self, route: Route, pages: Pages[T]) -> Generator[T, None, None]:
        """Go through a list."""

    @abstractmethod
    def listen(self, route: Route, feed: Feed[T]) -> Generator[T, None, None]:
        """Follow a feed."""


class Awaited(ABC):
    """A client whose methods are awaited."""

    @abstractmethod
    async def ask(self, route: Route, call: Call[T]) -> T:
        """Make a call."""

    @abstractmethod
    def turn(self, route: Route, pages: Pages[T]) -> AsyncGenerator[T, None]:
        """Go through a list."""

    @abstractmethod
    def listen(self, route: Route, feed: Feed[T]) -> AsyncGenerator[T, None]:
        """Follow a feed."""


class _Described:
    """A method of both clients. Subclasses say by their types what each gives."""

    def __init__(self, route: Route, blocking: Callable[..., Any], awaited: Callable[..., Any]) -> None:
        self.route = route
        self._blocking, self._awaited = blocking, awaited
        update_wrapper(self, blocking)  # type: ignore[arg-type]  # gives it the words of the description

    def _bound(self, hub: Blocking | Awaited | None) -> Any:
        if hub is None:
            return self
        return MethodType(self._blocking if isinstance(hub, Blocking) else self._awaited, hub)


class CallMethod(_Described, Generic[P, T]):
    """A method that asks one question."""

    @overload
    def __get__(self, hub: None, owner: type) -> Self: ...
    @overload
    def __get__(self, hub: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, hub: Awaited, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, hub: Blocking | Awaited | None, owner: type) -> Any:
        return self._bound(hub)


class PagesMethod(_Described, Generic[P, T]):
    """A method that goes through a list."""

    @overload
    def __get__(self, hub: None, owner: type) -> Self: ...
    @overload
    def __get__(self, hub: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, hub: Awaited, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, hub: Blocking | Awaited | None, owner: type) -> Any:
        return self._bound(hub)


class FeedMethod(_Described, Generic[P, T]):
    """A method that follows a feed."""

    @overload
    def __get__(self, hub: None, owner: type) -> Self: ...
    @overload
    def __get__(self, hub: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, hub: Awaited, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, hub: Blocking | Awaited | None, owner: type) -> Any:
        return self._bound(hub)


def call(method: str, path: str) -> Callable[[Callable[Concatenate[Any, P], Call[T]]], CallMethod[P, T]]:
    """A method of both clients from the description of one call."""
    route = Route(method, path)

    def made(describe: Callable[Concatenate[Any, P], Call[T]]) -> CallMethod[P, T]:
        @wraps(describe)
        def blocking(hub: Blocking, *args: P.args, **named: P.kwargs) -> T:
            return hub.ask(route, describe(hub, *args, **named))

        @wraps(describe)
        async def awaited(hub: Awaited, *args: P.args, **named: P.kwargs) -> T:
            return await hub.ask(route, describe(hub, *args, **named))

        for method_of_one in (blocking, awaited):
            _gives(method_of_one, describe, "{}")
        return CallMethod(route, blocking, awaited)

    return made


def pages(path: str) -> Callable[[Callable[Concatenate[Any, P], Pages[T]]], PagesMethod[P, T]]:
    """A method of both clients from the description of a list."""
    route = Route("GET", path)

    def made(describe: Callable[Concatenate[Any, P], Pages[T]]) -> PagesMethod[P, T]:
        @wraps(describe)
        def turned(hub: Blocking | Awaited, *args: P.args, **named: P.kwargs) -> Any:
            return hub.turn(route, describe(hub, *args, **named))

        _gives(turned, describe, "Iterator[{}]")
        return PagesMethod(route, turned, turned)

    return made


def feed(method: str, path: str) -> Callable[[Callable[Concatenate[Any, P], Feed[T]]], FeedMethod[P, T]]:
    """A method of both clients from the description of a feed."""
    route = Route(method, path)

    def made(describe: Callable[Concatenate[Any, P], Feed[T]]) -> FeedMethod[P, T]:
        @wraps(describe)
        def heard(hub: Blocking | Awaited, *args: P.args, **named: P.kwargs) -> Any:
            return hub.listen(route, describe(hub, *args, **named))

        _gives(heard, describe, "Iterator[{}]")
        return FeedMethod(route, heard, heard)

    return made


def _gives(method: Callable[..., Any], describe: Callable[..., Any], form: str) -> None:
    """Let `help` tell what a method gives, not how it is described."""
    told = signature(describe)
    inner = str(told.return_annotation).partition("[")[2].removesuffix("]")
    method.__signature__ = told.replace(return_annotation=form.format(inner))  # type: ignore[attr-defined]


def one(kind: type[A]) -> Read[A]:
    """The whole body is one of these."""
    return lambda response: kind.read(response.json())


def many(kind: type[A], name: str = "items") -> Read[list[A]]:
    """The body has a list of these."""
    return lambda response: [kind.read(row) for row in response.json()[name]]


def content(response: httpx2.Response) -> bytes:
    """The body as it is."""
    return response.content


def text(response: httpx2.Response) -> str:
    """The body as text."""
    return response.text


def nothing(_: httpx2.Response) -> None:
    """The status says all."""


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None, as the query takes them."""
    return {name: str(value) for name, value in values.items() if value is not None}
