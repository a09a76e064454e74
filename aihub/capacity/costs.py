"""What things cost on a machine, as `aihub bench run costs` measured it. One JSON file, `costs.json` in the hub's home.

CPU seconds are the currency: they hardly depend on what else runs, and add up. Where a cost depends on the size of the
camera's picture it is a line through what was measured, `fixed + per_mpixel * megapixels`, neither of them negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aihub.errors import ConfigError, CostsMissingError, NotFoundError

FILE = "costs.json"
MEASURE = "aihub bench run costs"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Linear(_Document):
    """A cost of one picture by its size."""

    fixed: float = Field(0.0, ge=0, allow_inf_nan=False)
    per_mpixel: float = Field(0.0, ge=0, allow_inf_nan=False)

    def at(self, mpixel: float) -> float:
        """The cost of a picture of so many million pixels."""
        return self.fixed + self.per_mpixel * mpixel

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Linear:
        """The line with non-negative parts that fits `(megapixels, cost)` best; one point gives a constant.

        Raises:
            ValueError: there are no points.
        """
        if not points:
            raise ValueError("a line needs a point")
        count = len(points)
        middle_x = sum(x for x, _ in points) / count
        middle_y = max(0.0, sum(y for _, y in points) / count)
        spread = sum((x - middle_x) ** 2 for x, _ in points)
        together = sum((x - middle_x) * (y - middle_y) for x, y in points)
        slope = max(0.0, together / spread) if spread > 1e-12 else 0.0
        if middle_y - slope * middle_x >= 0:
            return cls(fixed=middle_y - slope * middle_x, per_mpixel=slope)
        squares = sum(x * x for x, _ in points)
        return cls(per_mpixel=max(0.0, sum(x * y for x, y in points) / squares))


class DecodeCost(_Document):
    """Receiving and decoding.

    Attributes:
        ms: CPU of every picture that the camera sends, decoded or not.
        mode: whether every picture is decoded or only those that need no other.
        footage: what was decoded.
    """

    codec: Literal["h264", "h265"]
    mode: Literal["full", "key"]
    ms: Linear
    footage: str


class Piece(_Document):
    """A stage behind those before it, or a letterbox: done once a frame for all algorithms that have it in common.

    Attributes:
        title: name of the stage, for people.
        kind: whether it makes a model's input or is a stage.
        models: those that it asks.
        own_ms: CPU of its own code, one frame.
        model_ms: CPU of its models' runs, one frame.
        gpu_ms: time on a GPU, one frame; 0 where models run on the CPU.
    """

    title: str
    kind: Literal["letterbox", "stage"]
    models: tuple[str, ...] = ()
    own_ms: Linear = Linear()
    model_ms: Linear = Linear()
    gpu_ms: float = Field(0.0, ge=0, allow_inf_nan=False)

    def cpu_ms(self, mpixel: float) -> float:
        """CPU of one frame."""
        return self.own_ms.at(mpixel) + self.model_ms.at(mpixel)


class AlgorithmWork(_Document):
    """Which pieces an algorithm is made of, with its default parameters, and the models that must be loaded."""

    version: int
    pieces: tuple[str, ...]
    models: tuple[str, ...] = ()


class Memory(_Document):
    """Resident memory, megabytes.

    Attributes:
        process_mb: a stream host without models and streams.
        models_mb: each model, loaded.
        stream_mb: each stream, by the size of its pictures.
    """

    process_mb: float = Field(ge=0, allow_inf_nan=False)
    models_mb: dict[str, float] = Field(default_factory=dict)
    stream_mb: Linear


class Costs(_Document):
    """All of it.

    Attributes:
        fingerprint: of the machine (see `aihub.engine.machine.fingerprint`); costs hold for that machine only.
        stream_ms_s: CPU milliseconds a second of a stream, beside its pictures.
        sample_ms: CPU of taking a picture out for analysis: converting, handing over, counting.
        snapshot_kb: an event's picture.
        footage: what was looked at; trackers and rules cost more where there is more to see.
    """

    schema_version: Literal[1] = 1
    measured_at: datetime
    fingerprint: str
    processor: str
    cores: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    gpus: tuple[str, ...] = ()
    footage: str
    stream_ms_s: float = Field(ge=0, allow_inf_nan=False)
    sample_ms: Linear
    decode: tuple[DecodeCost, ...]
    pieces: dict[str, Piece]
    algorithms: dict[str, AlgorithmWork]
    memory: Memory
    snapshot_kb: Linear

    def decoding(self, codec: str, *, key_frames: bool) -> DecodeCost | None:
        """What decoding costs; None where it was not measured."""
        mode = "key" if key_frames else "full"
        return next((one for one in self.decode if (one.codec, one.mode) == (codec, mode)), None)

    def work(self, algorithm: str) -> AlgorithmWork:
        """What an algorithm is made of.

        Raises:
            CostsMissingError: it was not measured; says how.
        """
        found = self.algorithms.get(algorithm)
        if found is None:
            raise CostsMissingError(
                f"what {algorithm!r} costs was not measured",
                hint=f"{MEASURE} --set 'algorithms=[{', '.join([*self.algorithms, algorithm])}]'",
            )
        return found


def load(path: Path) -> Costs:
    """Read costs.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is none of ours; names the first thing that is wrong.
    """
    try:
        return Costs.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(str(path)) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path} holds no costs: {where}: {first['msg']}", hint=MEASURE) from None


def remembered(home: Path) -> Costs:
    """The costs that were measured last on the machine with this home.

    Raises:
        CostsMissingError: none were; says how.
    """
    try:
        return load(home / FILE)
    except NotFoundError:
        raise CostsMissingError(
            "nothing has been measured on this machine yet, and a plan is only made from what was measured",
            hint=f"run `{MEASURE}` first (minutes), or name a file of costs",
        ) from None


def remember(costs: Costs, path: Path) -> None:
    """Write costs; the file is never half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(costs.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(path)
