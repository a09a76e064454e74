"""What the API answers about face galleries: written by the hub, read by clients. No template is ever among it."""

from __future__ import annotations

from pydantic import Field

from aihub.types.answers import Answer


class GalleryInfo(Answer):
    """A gallery of faces: what for, and how many people are in it."""

    name: str
    purpose: str = Field(description="What faces are compared for; enrolment must be for the same.")
    retention_days: float = Field(description="How long somebody stays enrolled, days.")
    created_at: float = Field(description="Epoch seconds.")
    subjects: int = Field(description="People in it.")


class SubjectInfo(Answer):
    """Somebody who is enrolled."""

    id: str
    name: str
    consent: str = Field(description="Where the person's consent is to be found: a number, a document.")
    enrolled_at: float = Field(description="Epoch seconds.")
    expires_at: float = Field(description="Epoch seconds: gone by then.")
    faces: int = Field(description="Templates that are kept of the person. No pictures are.")
