"""Bodies of requests and answers about face galleries."""

from __future__ import annotations

from pydantic import BaseModel, Field

from aihub.serve.account_schemas import PLAIN
from aihub.serve.schemas import ID, Asked
from aihub.types.galleries import GalleryInfo, SubjectInfo

MAX_PICTURES = 10
MAX_RETENTION_DAYS = 3650.0


class GalleryIn(Asked):
    """A new gallery."""

    name: str = Field(pattern=ID, description="As algorithms name it.")
    purpose: str = Field(
        min_length=3, max_length=500, pattern=PLAIN, description="What faces will be compared for."
    )
    retention_days: float = Field(
        gt=0, le=MAX_RETENTION_DAYS, allow_inf_nan=False, description="How long somebody stays enrolled."
    )


class SubjectIn(Asked):
    """Somebody to enrol, with their consent."""

    name: str = Field(
        min_length=1, max_length=200, pattern=PLAIN, description="What the person is called in results."
    )
    purpose: str = Field(
        min_length=3, max_length=500, description="What the person agreed to; must be that of the gallery."
    )
    consent: str = Field(
        min_length=3, max_length=200, pattern=PLAIN, description="Where the consent is to be found."
    )
    images: list[str] = Field(
        min_length=1, max_length=MAX_PICTURES, description="Pictures of the person alone, files as base64."
    )


class GalleryList(BaseModel):
    """The galleries of a tenant, by name."""

    items: list[GalleryInfo]


class SubjectPage(BaseModel):
    """Part of the list of who is enrolled, in the order of enrolment."""

    items: list[SubjectInfo]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")
