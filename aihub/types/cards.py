"""Model cards and algorithm cards: YAML on disk, checked here. Unknown keys are errors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aihub.errors import CardError
from aihub.types.events import Severity
from aihub.types.tasks import InputKind, Task

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: eight times as fast over a folder of cards."""

_STUMBLES = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError)
"""What PyYAML lets through where a value is not what its tag says, `!!int x` or 2001-02-30, or lies too deep."""

MAX_CARD_BYTES = 64 * 1024
"""Far more than the largest there is. The parser goes down with the depth of a file, and some hundred thousand brackets end the process."""

MAX_WEIGHTS_BYTES = 4 << 30
"""What `max_bytes` may be at most: more than any ONNX file can have."""

LONGEST_QUOTE = 200
"""Characters of a card that an error repeats."""

NAME = r"^[a-z0-9]+(?:[-.][a-z0-9]+)*$"


class Card(BaseModel):
    """Base of all cards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Artifact(Card):
    """Where weights come from and what they must be.

    `uri` is `file:PATH`, `https://...`, `pkg:PACKAGE/PATH` for a file inside an installed wheel, `bundled:PATH` beside the
    card, or `mirror:PATH` where the file is to be had from a mirror only (converted weights).
    `mirror` is the path under `AIHUB_MODEL_MIRROR`, which is always asked first.

    Digest and size are stated, except where the publisher states none: then an https address may say `trust: first-use`, and
    what the first `aihub models pull` brings is pinned and counts from then on. `max_bytes` bounds a file of unknown size.
    """

    uri: str
    trust: Literal["card", "first-use"] = Field(
        "card",
        description="What says which file is right: this card, or the first copy that somebody pulled.",
    )
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", validate_default=True)
    bytes: int | None = Field(None, gt=0, description="Size of the file: checked before reading.")
    max_bytes: int | None = Field(
        None,
        gt=0,
        le=MAX_WEIGHTS_BYTES,
        validate_default=True,
        description="Most bytes a file may have whose size is not stated: checked while it comes.",
    )
    license: str = Field(description="SPDX id of the licence of the weights, not of the code.")
    mirror: str | None = None
    source: str = Field("", description="Where it was published: repository, path, commit.")

    @field_validator("trust")
    @classmethod
    def _only_addresses_are_trusted(cls, trust: str, info: ValidationInfo) -> str:
        if trust == "first-use" and not str(info.data.get("uri", "")).startswith("https:"):
            raise ValueError("`first-use` is for https addresses; state sha256 and bytes instead")
        return trust

    @field_validator("sha256")
    @classmethod
    def _digest_or_trust(cls, sha256: str | None, info: ValidationInfo) -> str | None:
        trusted = info.data.get("trust") == "first-use"
        if sha256 is None and not trusted:
            raise ValueError(
                "sha256 is absent: state it, or, where an https address is all there is, `trust: first-use`"
            )
        if sha256 is not None and trusted:
            raise ValueError("sha256 is stated, so nothing is left to trust: leave `trust` out")
        return sha256

    @field_validator("max_bytes")
    @classmethod
    def _size_or_bound(cls, most: int | None, info: ValidationInfo) -> int | None:
        size, address = info.data.get("bytes"), str(info.data.get("uri", "")).startswith("https:")
        if size is None and "bytes" in info.data and not (most and address):
            raise ValueError(
                "bytes is absent: state it, or, for an https address, bound the file with max_bytes"
            )
        if size is not None and most is not None:
            raise ValueError("bytes is stated, so there is nothing to bound: leave max_bytes out")
        return most


class InputSpec(Card):
    """How a picture becomes the model's input. Mean and scale are folded into the graph: uint8 travels."""

    name: str
    size: tuple[int, int] = Field(description="(height, width), pixels.")
    resize: Literal["letterbox", "letterbox-centre", "stretch"] = "letterbox"
    pad: int = Field(114, ge=0, le=255)
    color: Literal["bgr", "rgb"] = "bgr"
    layout: Literal["nchw", "nhwc"] = Field("nchw", description="What the graph wants after normalisation.")
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="x -> (x - mean) / std, in `color` order."
    )


class ModelCard(Card):
    """One ONNX graph: what it is, where it is, how to feed it and read it."""

    name: str = Field(pattern=NAME)
    version: int = Field(1, ge=1)
    task: Task
    summary: str
    roles: tuple[str, ...] = Field(
        (), description="Names algorithms ask for, such as `coco`; lowest rank that is here wins."
    )
    rank: int = Field(100, description="Order among models of one role, best first.")
    upgrade: bool = Field(
        False,
        description="Brought by its own name only, never by a role or `--all`: bigger than what its roles bring by themselves, or "
        "an alternative to it. Once it is here its rank counts.",
    )
    labels: tuple[str, ...] = ()
    artifact: Artifact
    input: InputSpec | None = Field(
        None, description="None for models whose stage prepares the tensors itself."
    )
    decoder: str | None = Field(None, description="Name of the decoder, None with raw outputs.")
    decoder_params: dict[str, Any] = Field(default_factory=dict)
    iou: float = Field(0.5, gt=0, le=1, description="Overlap above which the weaker of two boxes goes.")
    intended_use: str = ""
    limits: str = ""
    recipe: str = Field(
        "", description="Recipe under `models/recipes` that made it; empty for weights from elsewhere."
    )
    figures: dict[str, float] = Field(
        default_factory=dict,
        description="What was measured, on data that was not learned from; the name says of what.",
    )


class Param(Card):
    """One public parameter of an algorithm."""

    type: Literal["number", "integer", "boolean", "string", "strings", "polygon", "line"]
    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    unit: str | None = None


class EventSpec(Card):
    """The event that an algorithm raises on a stream."""

    type: str = Field(pattern=NAME)
    severity: Severity = Severity.ALERT
    min_duration: float = Field(
        0.0, ge=0, le=86400, description="Seconds a condition must hold before the event opens."
    )
    close_after: float = Field(
        5.0, gt=0, le=86400, description="Seconds without the condition before the event closes."
    )
    cooldown: float = Field(
        30.0,
        ge=0,
        le=86400,
        description="Seconds after closing in which the same key reopens the same event.",
    )
    update_every: float = Field(
        30.0, gt=0, le=86400, description="Seconds between updates of an open event, at least."
    )


class Example(Card):
    """What the algorithm must give on a known input: run by `aihub algorithms check` and by the tests.

    `media` names a file of the test media (`images/...`, `video/...`, `audio/...`) or `drawn:NAME` for a picture, clip, sound or
    series the project draws itself. For clips the frames are read at `fps` for at most `seconds`. Algorithms that read have
    `texts` in its place. `before` are pictures of the same request that come first, for cards with `sequence`.
    """

    media: str = ""
    texts: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)
    expect: dict[str, Any] = Field(
        description="See `aihub.algorithms.check`: `labels`, `texts`, `codes`, `fault`, `events`, `measures`."
    )
    fps: float = Field(5.0, gt=0, le=60)
    seconds: float = Field(60.0, gt=0, le=600)
    evidence: Literal["real", "synthetic"]

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if bool(self.media) == bool(self.texts):
            raise ValueError("an example has either `media` or `texts`")
        return self

    @property
    def shown(self) -> str:
        """What it runs on, in a few words."""
        return self.media or f"text: {self.texts[0][:40]}"


class Measured(Card):
    """A figure of how good an algorithm is, where there is truth to hold it against. Nothing was tuned on what measures it."""

    what: str = Field(description="Such as `F1`, `exact match`, `false alarms in 40 minutes`.")
    value: str
    data: str = Field(description="What it was measured on, and how much of it.")
    command: str = Field(description="Gives the figure again.")


class AlgorithmCard(Card):
    """What a caller names: a chain of stages over models, its parameters, its event, its proof."""

    id: str = Field(pattern=NAME, max_length=64)
    version: int = Field(1, ge=1)
    title: dict[Literal["en", "zh"], str]
    summary: str
    domain: str = Field(pattern=NAME)
    input: tuple[InputKind, ...]
    sequence: bool = Field(
        False,
        description="Whether pictures, texts or series of one request follow each other: each result is about an item "
        "and those before it. A reference comes first.",
    )
    params: dict[str, Param] = Field(default_factory=dict)
    stages: tuple[dict[str, dict[str, Any]], ...] = Field(
        min_length=1,
        description="Each a mapping of one stage name to its settings; `$name` stands for a parameter.",
    )
    event: EventSpec | None = None
    examples: tuple[Example, ...] = Field(min_length=1)
    intended_use: str
    limits: str
    figures: tuple[Measured, ...] = ()

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if set(self.title) != {"en", "zh"}:
            raise ValueError("title needs both `en` and `zh`")
        for stage in self.stages:
            if len(stage) != 1:
                raise ValueError(f"each stage is a mapping of one name, but got {sorted(stage)}")
            for setting in next(iter(stage.values())).values():
                if isinstance(setting, str) and setting.startswith("$") and setting[1:] not in self.params:
                    raise ValueError(f"stage {next(iter(stage))!r} uses {setting!r}, which is not in params")
        return self


class ScenarioPart(Card):
    """One algorithm of a scenario, with the parameters that it has there."""

    algorithm: str = Field(pattern=NAME, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict, description="Where they differ from the card's own.")


class ScenarioExample(Card):
    """A clip, and the alarms that the scenario raises on it."""

    media: str
    fps: float = Field(5.0, gt=0, le=60)
    seconds: float = Field(10.0, gt=0, le=120)
    params: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="By algorithm: what this place asks for, such as its zones."
    )
    events: dict[str, int] = Field(min_length=1, description="By algorithm: alarms that it raises at least.")
    evidence: Literal["real", "synthetic"]


class ScenarioCard(Card):
    """Algorithms that one application system needs together, with its defaults."""

    id: str = Field(pattern=NAME, max_length=64)
    version: int = Field(1, ge=1)
    title: dict[Literal["en", "zh"], str]
    summary: str
    fps: float = Field(5.0, gt=0, le=60, description="Analysed frames a second.")
    watches: tuple[ScenarioPart, ...] = Field((), description="Algorithms on every stream of it.")
    asks: tuple[str, ...] = Field(
        (), description="Algorithms that its applications call with pictures, sound, texts or series."
    )
    gives: tuple[str, ...] = Field(min_length=1, description="What its users get, a line each.")
    example: ScenarioExample | None = None

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if set(self.title) != {"en", "zh"}:
            raise ValueError("title needs both `en` and `zh`")
        if not self.watches and not self.asks:
            raise ValueError("a scenario has algorithms: `watches`, `asks` or both")
        if bool(self.watches) != (self.example is not None):
            raise ValueError("a scenario that watches streams has an example, and only such a one")
        return self


class Readiness(StrEnum):
    """Whether an algorithm can be used now."""

    READY = "ready"
    NEEDS_WEIGHTS = "needs-weights"
    BROKEN = "broken"


C = TypeVar("C", bound=Card)


def _content(text: str, where: str) -> object:
    if "*" in text:
        # An alias takes two letters and stands for all of its anchor: ten lines of them can be more than any memory holds.
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                line = f":{event.start_mark.line + 1}" if event.start_mark else ""
                raise CardError("aliases are not read in cards", where=f"{where}{line}")
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - safe either way


def load_card(path: Path, kind: type[C]) -> C:
    """Read and check one card.

    Raises:
        CardError: not YAML, not a mapping, or a field is wrong; says file, line where known, and field.
    """
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise CardError(f"a card may have {MAX_CARD_BYTES:,} bytes at most", where=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"cannot be read: {error}", where=str(path)) from error
    return read_card(text, kind, str(path))


def read_card(text: str, kind: type[C], where: str) -> C:
    """Check the text of a card.

    Args:
        text: YAML.
        kind: what card it is to be.
        where: what errors call it, such as its file.

    Raises:
        CardError: as `load_card`.
    """
    if len(text) > MAX_CARD_BYTES:
        raise CardError(f"a card may have {MAX_CARD_BYTES:,} bytes at most", where=where)
    try:
        body = _content(text, where)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise CardError(getattr(error, "problem", None) or "not YAML", where=f"{where}{line}") from error
    except _STUMBLES as error:
        said = str(error)[:LONGEST_QUOTE]
        raise CardError(f"a value in it cannot be read: {said}", where=where) from error
    if not isinstance(body, dict):
        raise CardError("a card is a mapping of fields", where=where)
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])[:LONGEST_QUOTE] or "card"
        raise CardError(f"{name}: {first['msg']}", where=where, field=name) from error
