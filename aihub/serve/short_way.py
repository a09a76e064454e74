"""The short way to the inference endpoints: around the framework's middleware, routing and dependencies.

Those take a third of what the event loop does for a request, and after each run of a model they do it with cold caches. The
endpoints are the same ones, and the framework still describes them; only who calls them differs. What these endpoints take is
all they may take: the parameters of their path, `request`, and a `caller` with the scope `infer`.

A request that the worker threads would refuse is refused here, before its body has been read: a refusal has to cost little
exactly when there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aihub.serve.security import Caller

OPERATIONS = ("infer", "inferMany", "oipInfer", "oipInferVersion", "echo")
"""Operations that go this way, most called first."""
SCOPE = "infer"
IN_THREADS = frozenset({"infer", "inferMany"})
"""Those that always need a worker thread. Raw models of the Open Inference Protocol have queues of their own."""


def short_routes(routers: Iterable[APIRouter]) -> list[APIRoute]:
    """The routes of these routers that go the short way, in the order of `OPERATIONS`.

    Raises:
        KeyError: an operation is in none of them.
    """
    found = {
        route.operation_id: route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and route.operation_id in OPERATIONS
    }
    return [found[name] for name in OPERATIONS]


class ShortWay:
    """Wraps an app; stands inside `aihub.serve.edge`, which has found the caller and answers every error.

    Args:
        app: what answers everything else.
        routes: see `short_routes`.
        refuse: raises when a tenant's work would be refused now.
    """

    def __init__(self, app: ASGIApp, *, routes: list[APIRoute], refuse: Callable[[str], None]) -> None:
        self.app, self._refuse = app, refuse
        self._routes = [(route, route.operation_id in IN_THREADS) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            path = scope["path"]
            for route, in_threads in self._routes:
                found = route.path_regex.match(path)
                if found is None:
                    continue
                scope["route"] = route  # names the route in metrics
                caller: Caller = scope["aihub.caller"]
                caller.require(SCOPE)
                if in_threads:
                    self._refuse(caller.tenant)
                request = Request(scope, receive, send)
                response = await route.endpoint(request=request, caller=caller, **found.groupdict())
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)
