"""Face galleries: who is enrolled, for what, until when. What is stored about people comes here sealed and leaves sealed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from aihub.errors import ConflictError, GalleryNotFoundError, NotFoundError
from aihub.storage.audit import note
from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.gallery_tables import galleries, gallery_subjects, gallery_templates
from aihub.storage.records import HUB, Actor, Page
from aihub.types import uuid7

DAY_S = 86_400.0
MAX_GALLERIES, MAX_SUBJECTS = 100, 20_000
"""Galleries of one tenant, and people in one gallery."""


class SubjectNotFoundError(NotFoundError):
    """Nobody of that id is in the gallery."""

    kind = "subject"


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery of faces. Times are epoch seconds.

    Attributes:
        name: within the tenant.
        tenant: whose it is.
        purpose: what the faces are compared for.
        retention_days: how long somebody stays enrolled.
        revision: grows when anybody comes or goes.
        created_at: when it was made.
        subjects: how many people are in it.
    """

    name: str
    tenant: str
    purpose: str
    retention_days: float
    revision: int = 0
    created_at: float = 0.0
    subjects: int = 0


@dataclass(frozen=True, slots=True)
class SealedSubject:
    """Somebody in a gallery: `sealed` is who, `templates` how many faces of theirs are kept."""

    id: str
    sealed: bytes
    enrolled_at: float
    expires_at: float
    templates: int


@dataclass(frozen=True, slots=True)
class SealedTemplate:
    """One face of somebody, as it is stored."""

    subject_id: str
    kind: str
    sealed: bytes


class GalleryStore(Store):
    """Methods on galleries. Every change is noted in the audit, in the same transaction; names of people never are."""

    def add_gallery(
        self,
        tenant: str,
        name: str,
        purpose: str,
        retention_days: float,
        *,
        by: Actor = HUB,
        now: float | None = None,
    ) -> Gallery:
        """Make a gallery.

        Raises:
            ConflictError: the tenant has one of that name, or too many.
        """
        at = time.time() if now is None else now
        made = Gallery(name, tenant, purpose, retention_days, 1, at)
        row = {"tenant": tenant, "name": name, "purpose": purpose, "retention_days": retention_days}
        with self._database.write() as connection:
            known = {one.name for one in _read(connection, tenant)}
            if name in known:
                raise ConflictError(f"a gallery named {name!r} exists already", field="name")
            if len(known) >= MAX_GALLERIES:
                raise ConflictError(f"a tenant may have {MAX_GALLERIES} galleries at most")
            connection.execute(insert(galleries).values(**row, revision=1, created_at=at))
            detail = {"purpose": purpose, "retention_days": retention_days}
            note(connection, by, "gallery.create", name, detail, at=at)
        return made

    def list_galleries(self, tenant: str) -> list[Gallery]:
        """The galleries of a tenant, by name."""
        with self._database.read() as connection:
            return _read(connection, tenant)

    def get_gallery(self, tenant: str, name: str) -> Gallery:
        """One gallery.

        Raises:
            GalleryNotFoundError: the tenant has none of that name; suggests the nearest of its own.
        """
        with self._database.read() as connection:
            return _get(connection, tenant, name)

    def delete_gallery(self, tenant: str, name: str, *, by: Actor = HUB, now: float | None = None) -> None:
        """Forget a gallery with everybody in it.

        Raises:
            GalleryNotFoundError: see `get_gallery`.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            self._shred(connection)
            old = _get(connection, tenant, name)
            here = (gallery_subjects.c.tenant == tenant) & (gallery_subjects.c.gallery == name)
            _forget(connection, here)
            connection.execute(delete(galleries).where(_is(tenant, name)))
            note(connection, by, "gallery.delete", name, {"subjects": old.subjects}, at=at)

    def add_subject(
        self,
        tenant: str,
        gallery: str,
        subject: SealedSubject,
        templates: Sequence[SealedTemplate],
        *,
        by: Actor = HUB,
        now: float | None = None,
    ) -> SealedSubject:
        """Enrol somebody.

        Args:
            tenant: whose gallery.
            gallery: its name.
            subject: with an id of its own; its times and count are set here.
            templates: of their face, at least one.
            by: who does it.
            now: epoch seconds, the clock's when None.

        Raises:
            GalleryNotFoundError: see `get_gallery`.
            ConflictError: the gallery is full.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            there = _get(connection, tenant, gallery)
            if there.subjects >= MAX_SUBJECTS:
                raise ConflictError(f"a gallery holds {MAX_SUBJECTS} people at most")
            until = at + there.retention_days * DAY_S
            row = {"id": subject.id, "sealed": subject.sealed, "enrolled_at": at, "expires_at": until}
            connection.execute(insert(gallery_subjects).values(tenant=tenant, gallery=gallery, **row))
            for template in templates:
                face = {"id": uuid7(at), "subject_id": subject.id, "kind": template.kind}
                connection.execute(insert(gallery_templates).values(**face, sealed=template.sealed))
            _changed(connection, tenant, gallery)
            detail = {"subject": subject.id, "faces": len(templates), "purpose": there.purpose}
            note(connection, by, "face.enrol", gallery, detail, at=at)
        return SealedSubject(subject.id, subject.sealed, at, until, len(templates))

    def list_subjects(
        self,
        tenant: str,
        gallery: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        now: float | None = None,
    ) -> Page[SealedSubject]:
        """Who is enrolled, in the order of enrolment; at most `limit` (1..1000) at once.

        Raises:
            GalleryNotFoundError: see `get_gallery`.
            ParamsError: a wrong cursor or limit.
        """
        at = time.time() if now is None else now
        query = _subjects(tenant, gallery, at).order_by(gallery_subjects.c.id).limit(page_size(limit) + 1)
        if cursor is not None:
            query = query.where(gallery_subjects.c.id > from_cursor(cursor, (str,))[0])
        with self._database.read() as connection:
            _get(connection, tenant, gallery)
            found = [SealedSubject(*row) for row in connection.execute(query)]
        more = len(found) > limit
        return Page(found[:limit], to_cursor([found[limit - 1].id]) if more else None)

    def get_subject(
        self, tenant: str, gallery: str, subject_id: str, *, now: float | None = None
    ) -> SealedSubject:
        """Somebody in a gallery.

        Raises:
            GalleryNotFoundError: see `get_gallery`.
            SubjectNotFoundError: nobody of that id is in it, or no longer.
        """
        at = time.time() if now is None else now
        query = _subjects(tenant, gallery, at).where(gallery_subjects.c.id == subject_id)
        with self._database.read() as connection:
            _get(connection, tenant, gallery)
            row = connection.execute(query).first()
        if row is None:
            raise SubjectNotFoundError(subject_id)
        return SealedSubject(*row)

    def erase_subject(
        self, tenant: str, gallery: str, subject_id: str, *, by: Actor = HUB, now: float | None = None
    ) -> None:
        """Forget somebody with all their faces.

        Raises:
            GalleryNotFoundError, SubjectNotFoundError: see `get_subject`.
        """
        at = time.time() if now is None else now
        mine = (gallery_subjects.c.tenant == tenant) & (gallery_subjects.c.gallery == gallery)
        with self._database.write() as connection:
            self._shred(connection)
            _get(connection, tenant, gallery)
            if not _forget(connection, mine & (gallery_subjects.c.id == subject_id)):
                raise SubjectNotFoundError(subject_id)
            _changed(connection, tenant, gallery)
            note(connection, by, "face.erase", gallery, {"subject": subject_id}, at=at)

    def templates(
        self, tenant: str, gallery: str, *, now: float | None = None
    ) -> tuple[list[SealedSubject], list[SealedTemplate]]:
        """Everybody who is enrolled and whose time is not over, and all their faces.

        Raises:
            GalleryNotFoundError: see `get_gallery`.
        """
        at = time.time() if now is None else now
        people = _subjects(tenant, gallery, at).order_by(gallery_subjects.c.id)
        face = gallery_templates.c
        faces = (
            select(face.subject_id, face.kind, face.sealed)
            .join(gallery_subjects, gallery_subjects.c.id == face.subject_id)
            .where(gallery_subjects.c.tenant == tenant, gallery_subjects.c.gallery == gallery)
            .where(gallery_subjects.c.expires_at > at)
            .order_by(face.subject_id, face.id)
        )
        with self._database.read() as connection:
            _get(connection, tenant, gallery)
            subjects = [SealedSubject(*row) for row in connection.execute(people)]
            return subjects, [SealedTemplate(*row) for row in connection.execute(faces)]

    def expire_subjects(self, *, limit: int = 1000, now: float | None = None) -> int:
        """Forget those whose time is over; a note for each gallery says how many went. Returns how many."""
        at = time.time() if now is None else now
        over = (
            select(gallery_subjects.c.id, gallery_subjects.c.tenant, gallery_subjects.c.gallery)
            .where(gallery_subjects.c.expires_at <= at)
            .limit(limit)
        )
        with self._database.write() as connection:
            rows = connection.execute(over).all()
            if not rows:
                return 0
            self._shred(connection)
            for tenant, gallery in sorted({(row.tenant, row.gallery) for row in rows}):
                gone = [row.id for row in rows if (row.tenant, row.gallery) == (tenant, gallery)]
                _forget(connection, gallery_subjects.c.id.in_(gone))
                _changed(connection, tenant, gallery)
                actor = Actor(HUB.name, tenant)
                note(connection, actor, "face.expire", gallery, {"subjects": len(gone)}, at=at)
        return len(rows)

    def _shred(self, connection: Connection) -> None:
        """What is deleted on this connection is overwritten, not only unlinked."""
        if self._database.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return (galleries.c.tenant == tenant) & (galleries.c.name == name)


def _subjects(tenant: str, gallery: str, at: float) -> Select[Any]:
    row = gallery_subjects.c
    faces = (
        select(func.count())
        .select_from(gallery_templates)
        .where(gallery_templates.c.subject_id == row.id)
        .scalar_subquery()
    )
    return select(row.id, row.sealed, row.enrolled_at, row.expires_at, faces).where(
        row.tenant == tenant, row.gallery == gallery, row.expires_at > at
    )


def _read(connection: Connection, tenant: str, name: str | None = None) -> list[Gallery]:
    row = galleries.c
    people = (
        select(func.count())
        .select_from(gallery_subjects)
        .where(gallery_subjects.c.tenant == row.tenant, gallery_subjects.c.gallery == row.name)
        .scalar_subquery()
    )
    query = select(
        row.name, row.tenant, row.purpose, row.retention_days, row.revision, row.created_at, people
    ).where(row.tenant == tenant)
    if name is not None:
        query = query.where(row.name == name)
    return [Gallery(*found) for found in connection.execute(query.order_by(row.name))]


def _get(connection: Connection, tenant: str, name: str) -> Gallery:
    found = _read(connection, tenant, name)
    if not found:
        raise GalleryNotFoundError(name[:64], [one.name for one in _read(connection, tenant)])
    return found[0]


def _forget(connection: Connection, which: ColumnElement[bool]) -> int:
    """Remove people and their faces; how many people."""
    ids = select(gallery_subjects.c.id).where(which)
    connection.execute(delete(gallery_templates).where(gallery_templates.c.subject_id.in_(ids)))
    return connection.execute(delete(gallery_subjects).where(which)).rowcount


def _changed(connection: Connection, tenant: str, name: str) -> None:
    connection.execute(update(galleries).where(_is(tenant, name)).values(revision=galleries.c.revision + 1))
