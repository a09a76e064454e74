"""What `/v2` takes and answers, for the description of the API. The protocol's own documents say the rest."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Shape = list[int]


class OipError(BaseModel):
    """An error of `/v2`."""

    error: str


class OipLive(BaseModel):
    """Whether the process answers."""

    live: bool


class OipReady(BaseModel):
    """Whether the hub can be used."""

    ready: bool


class OipModelReady(BaseModel):
    """Whether a model or algorithm would answer."""

    name: str
    ready: bool


class OipServer(BaseModel):
    """Who answers, and which extensions of the protocol it speaks."""

    name: str
    version: str
    extensions: list[str]


class OipNames(BaseModel):
    """Every model and algorithm, by name."""

    models: list[str]


class OipTensorInfo(BaseModel):
    """An input or output; -1 in its shape is any size."""

    name: str
    datatype: str
    shape: Shape


class OipModel(BaseModel):
    """What a model or algorithm takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[OipTensorInfo]
    outputs: list[OipTensorInfo]


class OipStats(BaseModel):
    """Counts and times of this process since it started, nanoseconds."""

    model_stats: list[dict[str, Any]]


class OipIndexRow(BaseModel):
    """A name and whether it is ready."""

    name: str
    version: str
    state: str
    reason: str = Field(description="Why it is not ready, and the command that helps.")


class OipIndexBody(BaseModel):
    """Which names to list."""

    ready: bool = Field(False, description="Only those that are ready.")


class OipLoadBody(BaseModel):
    """How to load: nothing can be said here, models come from their cards."""

    parameters: dict[str, Any] = Field({}, description="None are taken.")


class OipUnloadParameters(BaseModel):
    """How to unload."""

    unload_dependents: bool = Field(
        False, description="Of an algorithm: its models too, which may serve others."
    )


class OipUnloadBody(BaseModel):
    """How to unload."""

    parameters: OipUnloadParameters = OipUnloadParameters()


class OipTensor(BaseModel):
    """A tensor, its elements in `data` or, where `parameters.binary_data_size` says so, behind the JSON."""

    name: str
    datatype: str
    shape: Shape
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class OipRequestedOutput(BaseModel):
    """An output that is wanted: `parameters` may hold `binary_data` and `classification`."""

    name: str
    parameters: dict[str, Any] = {}


class OipInferBody(BaseModel):
    """An inference."""

    id: str = ""
    parameters: dict[str, Any] = Field({}, description="`timeout` in microseconds, and the algorithm's own.")
    inputs: list[OipTensor]
    outputs: list[OipRequestedOutput] = []


class OipInferAnswer(BaseModel):
    """The answer to an inference."""

    model_name: str
    model_version: str
    id: str = ""
    outputs: list[OipTensor]
