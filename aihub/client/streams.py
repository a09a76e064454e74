"""Calls about cameras under analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aihub.client.calls import Call, Pages, call, content, given, many, nothing, one, pages
from aihub.client.inputs import TaskLike, plain, task_of
from aihub.types import StreamState
from aihub.types.answers import Stream, StreamResult
from aihub.types.capacity import CapacityPlan, PlanAsked


class StreamCalls:
    """Cameras under analysis."""

    @call("POST", "/v1/streams")
    def add_stream(self, /, url: str, tasks: Sequence[TaskLike] = (), **fields: Any) -> Call[Stream]:
        """Submit one stream.

        Args:
            url: rtsp:// address; credentials in it are taken out and kept apart.
            tasks: algorithms to watch it with.
            fields: `id`, `name`, `username`, `password`, `transport`, `sampling`, `enabled`, `group`, `tenant`.

        Raises:
            ParamsError: `field` says which, for example `tasks[0].params.zone`.
            AlgorithmNotFoundError: a task names one that nobody knows.
            AddressError: the hub must not connect there.
            ConflictError: a stream of that id exists.
        """
        body = {"url": url, "tasks": [task_of(task) for task in tasks], **plain(fields)}
        return Call(one(Stream), json=body)

    @call("POST", "/v1/streams")
    def add_streams(self, streams: Sequence[Mapping[str, Any]]) -> Call[list[StreamResult]]:
        """Submit many streams, each as the API takes it; a result for each, in order. Nothing is raised for one of them."""
        return Call(many(StreamResult, "results"), json={"streams": [plain(stream) for stream in streams]})

    @pages("/v1/streams")
    def streams(self, *, state: StreamState | None = None, page: int = 500) -> Pages[Stream]:
        """All streams by id, fetched `page` at a time."""
        return Pages(Stream.read, query=given(state=state, limit=page))

    @call("GET", "/v1/streams/{stream_id}")
    def stream(self, stream_id: str) -> Call[Stream]:
        """One stream.

        Raises:
            StreamNotFoundError: no such stream, or not yours.
        """
        return Call(one(Stream), ids=(stream_id,))

    @call("PATCH", "/v1/streams/{stream_id}")
    def update_stream(
        self, stream_id: str, changes: Mapping[str, Any], *, revision: int | None = None
    ) -> Call[Stream]:
        """Change fields of a stream; `{"enabled": False}` pauses it.

        Raises:
            ConflictError: it is no longer at `revision`.
        """
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        return Call(one(Stream), ids=(stream_id,), json=plain(changes), headers=headers)

    @call("DELETE", "/v1/streams/{stream_id}")
    def delete_stream(self, stream_id: str) -> Call[None]:
        """Stop and forget a stream; its events stay."""
        return Call(nothing, ids=(stream_id,))

    @call("GET", "/v1/streams/{stream_id}/snapshot")
    def stream_snapshot(self, stream_id: str) -> Call[bytes]:
        """A picture of now, JPEG.

        Raises:
            StreamError: none came; the message says in what state the stream is.
        """
        return Call(content, ids=(stream_id,))

    @call("POST", "/v1/plan")
    def plan(self, asked: PlanAsked | Mapping[str, Any]) -> Call[CapacityPlan]:
        """How many machines so many streams take, from what was measured on the hub's machine.

        Args:
            asked: `groups` of streams, each with `streams`, `algorithms`, `fps` and more; `latency_ms`, `machine`, `machines`.

        Raises:
            ParamsError: an algorithm is unknown or was not measured; `field` says which.
            CostsMissingError: nothing has been measured there yet.
        """
        body = asked.model_dump(mode="json") if isinstance(asked, PlanAsked) else plain(asked)
        return Call(one(CapacityPlan), json=body, again=True)
