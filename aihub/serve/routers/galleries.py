"""`/v1/galleries`: faces of people who agreed to be known, for a purpose and a time. Of the tenant of the key."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from aihub.algorithms.faces.embedding import Templates
from aihub.algorithms.faces.enrolling import template_of
from aihub.errors import AihubError, InputError, ParamsError
from aihub.serve.access import FaceKeeper, Parts, TheParts, TheServices
from aihub.serve.audit import TheActor, noting_failure
from aihub.serve.gallery_schemas import GalleryIn, GalleryList, SubjectIn, SubjectPage
from aihub.serve.pictures import decode_picture
from aihub.serve.problems import documented
from aihub.serve.security import Caller
from aihub.storage.galleries import Gallery
from aihub.types.galleries import GalleryInfo, SubjectInfo

router = APIRouter(prefix="/v1/galleries", tags=["galleries"], responses=documented())

ENROLMENT = "face-search"
"""What enrolment counts as, for grants, limits and usage: who may not search has nothing to enrol for."""


@router.post(
    "", operation_id="createGallery", summary="Make a gallery", status_code=201, responses=documented(409)
)
def create_gallery(body: GalleryIn, services: TheServices, caller: FaceKeeper, actor: TheActor) -> GalleryInfo:  # fmt: skip
    """Faces are kept as sealed templates, never as pictures, and go when their time is over. Noted in the audit."""
    with noting_failure(services.repository, actor, "gallery.create", body.name):
        made = services.repository.add_gallery(
            caller.tenant, body.name, body.purpose, body.retention_days, by=actor
        )
    return _public(made)


@router.get("", operation_id="listGalleries", summary="List the galleries")
def list_galleries(services: TheServices, caller: FaceKeeper) -> GalleryList:
    """All galleries of the tenant."""
    return GalleryList(items=[_public(one) for one in services.repository.list_galleries(caller.tenant)])


@router.get("/{gallery}", operation_id="getGallery", summary="One gallery", responses=documented(404))
def get_gallery(gallery: str, services: TheServices, caller: FaceKeeper) -> GalleryInfo:
    """Its purpose and how many people are in it."""
    return _public(services.repository.get_gallery(caller.tenant, gallery))


@router.delete(
    "/{gallery}",
    operation_id="deleteGallery",
    summary="Remove a gallery",
    status_code=204,
    responses=documented(404),
)
def delete_gallery(gallery: str, parts: TheParts, caller: FaceKeeper, actor: TheActor) -> Response:
    """With everybody in it. Noted in the audit."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "gallery.delete", gallery):
        repository.delete_gallery(caller.tenant, gallery, by=actor)
    parts.galleries.look_again(caller.tenant, gallery)
    return Response(status_code=204)


@router.post(
    "/{gallery}/subjects",
    operation_id="enrolSubject",
    summary="Enrol somebody",
    status_code=201,
    responses=documented(400, 404, 409, 413, 415, 503, 504),
)
def enrol_subject(
    gallery: str, body: SubjectIn, parts: TheParts, caller: FaceKeeper, actor: TheActor
) -> SubjectInfo:
    """From pictures of one person, with the reference of their consent. The pictures are not kept. Noted in the audit."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "face.enrol", gallery):
        there = repository.get_gallery(caller.tenant, gallery)
        if body.purpose.strip() != there.purpose.strip():
            raise ParamsError(
                "the person agreed to another purpose than that of the gallery",
                field="purpose",
                hint=f"the gallery is for: {there.purpose}",
            )
        faces = _templates(parts, caller, body.images)
        made = parts.galleries.enrol(caller.tenant, gallery, body.name, body.consent, faces, by=actor)
    parts.galleries.look_again(caller.tenant, gallery)
    return made


@router.get(
    "/{gallery}/subjects", operation_id="listSubjects", summary="Who is enrolled", responses=documented(404)
)
def list_subjects(
    gallery: str,
    parts: TheParts,
    caller: FaceKeeper,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> SubjectPage:
    """In the order of enrolment; who is over their time is not among them."""
    page = parts.services.repository.list_subjects(caller.tenant, gallery, limit=limit, cursor=cursor)
    items = parts.galleries.told(caller.tenant, gallery, page.items)
    return SubjectPage(items=items, next_cursor=page.cursor)


@router.get(
    "/{gallery}/subjects/{subject_id}",
    operation_id="getSubject",
    summary="Somebody who is enrolled",
    responses=documented(404),
)
def get_subject(gallery: str, subject_id: str, parts: TheParts, caller: FaceKeeper) -> SubjectInfo:
    """Name, consent and times; never the template."""
    found = parts.services.repository.get_subject(caller.tenant, gallery, subject_id)
    return parts.galleries.told(caller.tenant, gallery, [found])[0]


@router.delete(
    "/{gallery}/subjects/{subject_id}",
    operation_id="eraseSubject",
    summary="Forget somebody",
    status_code=204,
    responses=documented(404),
)
def erase_subject(
    gallery: str, subject_id: str, parts: TheParts, caller: FaceKeeper, actor: TheActor
) -> Response:
    """With all that is kept of their face; searches feel it within a second. Noted in the audit."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "face.erase", gallery):
        repository.erase_subject(caller.tenant, gallery, subject_id, by=actor)
    parts.galleries.look_again(caller.tenant, gallery)
    return Response(status_code=204)


def _templates(parts: Parts, caller: Caller, images: list[str]) -> list[Templates]:
    services = parts.services
    made: list[Templates] = []
    with parts.admission.enter(caller, [ENROLMENT], frames=len(images)) as bill:
        for index, text in enumerate(images):
            try:
                frame = decode_picture(
                    _bytes(text),
                    max_pixels=services.settings.max_image_pixels,
                    max_bytes=services.settings.max_image_bytes,
                    source=f"{caller.tenant}/{caller.key_id}",
                )
                frame.bill = bill
                made.append(template_of(services.predictor, frame))
            except AihubError as error:
                error.field = error.field or f"images[{index}]"
                raise
    return made


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("this is not base64", hint="the picture's file, encoded") from error


def _public(one: Gallery) -> GalleryInfo:
    return GalleryInfo(
        name=one.name, purpose=one.purpose, retention_days=one.retention_days, created_at=one.created_at,
        subjects=one.subjects,
    )  # fmt: skip
