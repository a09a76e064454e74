"""What one stream of a group costs. Work that its algorithms have in common counts once, as in the hub's own plan of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from aihub.capacity.costs import MEASURE, Costs, DecodeCost, Piece
from aihub.errors import AihubError, CostsMissingError, ParamsError
from aihub.types.capacity import StreamGroup, megapixels

BITS_A_PIXEL = {"h264": 0.1, "h265": 0.05}
"""Of each picture that a camera sends; what is usual for surveillance (5.2 Mbit/s for 1080p25 in H.264)."""


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """One stream.

    Attributes:
        parts: milliseconds of CPU a second by what they do: "stream", "decode", "sample", "letterbox", "models", "stages".
        fps: frames analysed a second; key frames may be fewer than were asked for.
        service_ms: one frame from its decoding to its results, on an idle machine.
        gpu: share of a GPU.
        mbit: network in, Mbit/s.
        memory_mb: of the stream itself.
        models: that must be loaded.
    """

    parts: dict[str, float]
    fps: float
    service_ms: float
    gpu: float
    mbit: float
    memory_mb: float
    models: frozenset[str]

    @property
    def cores(self) -> float:
        """Cores that it keeps busy."""
        return sum(self.parts.values()) / 1e3


def pieces_of(group: StreamGroup, costs: Costs, field: str = "algorithms") -> dict[str, Piece]:
    """What is done on each frame of a group, everything once.

    Raises:
        ParamsError: an algorithm was not measured; `field` names it.
    """
    found: dict[str, Piece] = {}
    for place, name in enumerate(group.algorithms):
        try:
            keys = costs.work(name).pieces
            found |= {key: costs.pieces[key] for key in keys}
        except CostsMissingError as error:
            raise ParamsError(error.message, hint=error.hint, field=f"{field}[{place}]") from None
        except KeyError as error:
            raise ParamsError(
                f"the costs lack a part of {name!r}: {error.args[0]}", hint=MEASURE, field=f"{field}[{place}]"
            ) from None
    return found


def load_of(group: StreamGroup, costs: Costs, where: str = "") -> StreamLoad:
    """What one stream of a group costs.

    Args:
        group: the streams.
        costs: what was measured.
        where: how the group is called in errors, such as `groups[0].`.

    Raises:
        ParamsError: something of it was not measured; `field` names it.
    """
    mpixel = megapixels(group.resolution)
    decode, full = _decoding(group, costs, where)
    fps = min(group.fps, group.source_fps)
    if group.key_frames:
        fps = min(fps, 1.0 / group.key_frame_every_s)
    pieces = pieces_of(group, costs, f"{where}algorithms").values()
    cpu = {
        "letterbox": sum(one.cpu_ms(mpixel) for one in pieces if one.kind == "letterbox"),
        "models": sum(one.model_ms.at(mpixel) for one in pieces if one.kind == "stage"),
        "stages": sum(one.own_ms.at(mpixel) for one in pieces if one.kind == "stage"),
    }
    gpu_ms = sum(one.gpu_ms for one in pieces)
    sample = costs.sample_ms.at(mpixel)
    frame = {"sample": sample, **cpu}
    models = frozenset(model for name in group.algorithms for model in costs.work(name).models)
    return StreamLoad(
        parts={
            "stream": costs.stream_ms_s,
            "decode": decode.ms.at(mpixel) * group.source_fps,
            **{name: ms * fps for name, ms in frame.items()},
        },
        fps=fps,
        service_ms=full.ms.at(mpixel) + sum(frame.values()) + gpu_ms,
        gpu=gpu_ms * fps / 1e3,
        mbit=group.mbit or BITS_A_PIXEL[group.codec] * mpixel * group.source_fps,
        memory_mb=costs.memory.stream_mb.at(mpixel),
        models=models,
    )


def _decoding(group: StreamGroup, costs: Costs, where: str) -> tuple[DecodeCost, DecodeCost]:
    """What every picture costs as it is asked for, and what a picture costs that is decoded."""
    asked = costs.decoding(group.codec, key_frames=group.key_frames)
    full = costs.decoding(group.codec, key_frames=False)
    if asked is None or full is None:
        mode = "key frames of " if asked is None and group.key_frames else ""
        raise _unmeasured(f"decoding {mode}{group.codec}", f"{where}codec")
    return asked, full


def _unmeasured(what: str, field: str) -> AihubError:
    return ParamsError(
        f"what {what} costs was not measured",
        hint=f"{MEASURE} --set 'clips=[...]' with a clip of that kind",
        field=field,
    )
