"""Calls about face galleries. They need the scope `faces` and are about the galleries of the key's tenant."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from aihub.client.calls import Call, Pages, call, given, many, nothing, one, pages
from aihub.client.inputs import Picture, file_of
from aihub.types.galleries import GalleryInfo, SubjectInfo

PAGE = 500


class GalleryCalls:
    """Faces of people who agreed to be known."""

    @call("GET", "/v1/galleries")
    def galleries(self) -> Call[list[GalleryInfo]]:
        """All galleries of the tenant."""
        return Call(many(GalleryInfo))

    @call("GET", "/v1/galleries/{gallery}")
    def gallery(self, gallery: str) -> Call[GalleryInfo]:
        """One gallery."""
        return Call(one(GalleryInfo), ids=(gallery,))

    @call("POST", "/v1/galleries")
    def add_gallery(self, name: str, purpose: str, *, retention_days: float) -> Call[GalleryInfo]:
        """Make a gallery.

        Args:
            name: as algorithms name it.
            purpose: what faces will be compared for.
            retention_days: how long somebody stays enrolled.

        Raises:
            ConflictError: there is one of that name.
        """
        body = {"name": name, "purpose": purpose, "retention_days": retention_days}
        return Call(one(GalleryInfo), json=body)

    @call("DELETE", "/v1/galleries/{gallery}")
    def delete_gallery(self, gallery: str) -> Call[None]:
        """Remove a gallery with everybody in it."""
        return Call(nothing, ids=(gallery,))

    @call("POST", "/v1/galleries/{gallery}/subjects")
    def enrol(
        self,
        gallery: str,
        name: str,
        images: Picture | Sequence[Picture],
        *,
        purpose: str,
        consent: str,
    ) -> Call[SubjectInfo]:
        """Enrol somebody. The hub keeps templates of the face, not the pictures.

        Args:
            gallery: its name.
            name: what the person is called in results.
            images: one to ten pictures of the person alone.
            purpose: what the person agreed to; must be that of the gallery.
            consent: where the consent is to be found.

        Raises:
            InputError: a picture is not fit, or not of one person; `field` says which.
            GalleryNotFoundError: the tenant has no such gallery.
        """
        fields = {"name": name, "purpose": purpose, "consent": consent}
        listed = _listed(images)

        def body() -> dict[str, str]:
            pictures = [base64.b64encode(file_of(image)).decode() for image in listed]
            return {"content": json.dumps({**fields, "images": pictures})}

        headers = {"Content-Type": "application/json"}
        return Call(one(SubjectInfo), ids=(gallery,), headers=headers, body=body)

    @pages("/v1/galleries/{gallery}/subjects")
    def subjects(self, gallery: str, *, limit: int | None = None) -> Pages[SubjectInfo]:
        """Who is enrolled, in the order of enrolment, fetched page by page."""
        query = given(limit=PAGE if limit is None else max(1, min(limit, PAGE)))
        return Pages(SubjectInfo.read, ids=(gallery,), query=query, limit=limit)

    @call("GET", "/v1/galleries/{gallery}/subjects/{subject_id}")
    def subject(self, gallery: str, subject_id: str) -> Call[SubjectInfo]:
        """Somebody who is enrolled."""
        return Call(one(SubjectInfo), ids=(gallery, subject_id))

    @call("DELETE", "/v1/galleries/{gallery}/subjects/{subject_id}")
    def erase(self, gallery: str, subject_id: str) -> Call[None]:
        """Forget somebody with all that is kept of their face."""
        return Call(nothing, ids=(gallery, subject_id))


def _listed(images: Picture | Sequence[Picture]) -> list[Picture]:
    if isinstance(images, Sequence) and not isinstance(images, bytes | str):
        return [*images]
    return [images]
