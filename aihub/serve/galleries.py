"""The galleries of a process of the hub: opened for the stages that search, filled by those who enrol, every look noted."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aihub.algorithms.faces.embedding import Templates, kind_of
from aihub.algorithms.galleries import Enrolled, tenant_of
from aihub.errors import AihubError, ConflictError, InputError, ParamsError
from aihub.settings import Settings
from aihub.storage.galleries import Gallery, SealedSubject, SealedTemplate
from aihub.storage.records import Actor
from aihub.storage.repository import Repository
from aihub.storage.sealing import Sealer, gallery_key
from aihub.types import Predictor, uuid7
from aihub.types.galleries import SubjectInfo

logger = logging.getLogger(__name__)

KEY_FILE = "gallery.key"
FRESH_S = 1.0
"""How long a gallery is believed to be as it was: so long may an erasure take to be felt."""
MAX_HELD = 64
"""Galleries that a process keeps open."""
SAME_PERSON = 0.5
MAX_FOUND = 200
"""Ids of people in one note of the audit."""
NOTE_EVERY_S = 60.0
"""A stream looks several times a second: its looks of a minute are one note."""


@dataclass(slots=True)
class _Held:
    people: Enrolled
    until: float
    """Epoch seconds when the first of them is to be forgotten."""
    made_at: float
    """Of the gallery: another of its name is another gallery."""
    fresh_until: float = 0.0


@dataclass(slots=True)
class _Looks:
    noted_at: float
    looks: int = 0
    faces: int = 0
    found: Counter[str] = field(default_factory=Counter)


class HubGalleries:
    """Satisfies `aihub.algorithms.galleries.Galleries`. Thread-safe.

    Args:
        repository: where it is stored, sealed.
        settings: where the key is.
        every_s: looks of one source within so many seconds become one note of the audit; 0 notes each. The first of a source is
            noted at once.
    """

    def __init__(self, repository: Repository, settings: Settings, *, every_s: float = 0.0) -> None:
        self._repository, self._settings, self._every_s = repository, settings, every_s
        self._lock = threading.Lock()
        self._sealer: Sealer | None = None
        self._held: OrderedDict[tuple[str, str, str], _Held] = OrderedDict()
        self._looks: dict[tuple[str, str, str], _Looks] = {}
        self._names: dict[str, str] = {}

    @property
    def sealer(self) -> Sealer:
        """What is stored is sealed with; its key is made when first needed.

        Raises:
            ConfigError: the key cannot be read.
        """
        with self._lock:
            if self._sealer is None:
                given = self._settings.gallery_key.get_secret_value()
                self._sealer = Sealer(gallery_key(self._settings.home / KEY_FILE, given))
            return self._sealer

    def enrolled(self, source: str, gallery: str, predictor: Predictor) -> Enrolled:
        """See `Galleries.enrolled`.

        Raises:
            ConflictError: everybody in it was enrolled with another network.
        """
        if not gallery:
            hint = "aihub galleries list shows those of your tenant"
            raise ParamsError("the name of a gallery is needed", field="gallery", hint=hint)
        tenant, kind = tenant_of(source), kind_of(predictor).name
        key, now = (tenant, gallery, kind), time.monotonic()
        with self._lock:
            held = self._held.get(key)
        if held is not None and now < held.fresh_until and time.time() < held.until:
            return held.people
        there = self._repository.get_gallery(tenant, gallery)
        same = held is not None and (held.people.revision, held.made_at) == (there.revision, there.created_at)
        if held is None or not same or time.time() >= held.until:
            held = self._opened(there, kind)
        held.fresh_until = now + FRESH_S
        with self._lock:
            self._held[key] = held
            self._held.move_to_end(key)
            if len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
        return held.people

    def look_again(self, tenant: str, gallery: str) -> None:
        """Believe no more what is held of a gallery: it was just changed here."""
        with self._lock:
            for key in [key for key in self._held if key[:2] == (tenant, gallery)]:
                del self._held[key]

    def _opened(self, there: Gallery, kind: str) -> _Held:
        tenant, gallery = there.tenant, there.name
        people, faces = self._repository.templates(tenant, gallery)
        mine = [face for face in faces if face.kind == kind]
        if people and not mine:
            raise ConflictError(
                f"the people of gallery {gallery!r} were enrolled with another network than {kind}",
                hint="enrol them anew",
                field="gallery",
            )
        names = {one.id: self._told(tenant, gallery, one).name for one in people}
        until = min((one.expires_at for one in people), default=float("inf"))
        rows = [
            np.frombuffer(
                self.sealer.open(face.sealed, _about(tenant, gallery, face.subject_id, kind)), "<f4"
            )
            for face in mine
        ]
        vectors = np.stack(rows).astype(np.float32) if rows else np.zeros((0, 1), np.float32)
        ids = tuple(face.subject_id for face in mine)
        people_here = Enrolled(ids, tuple(names[one] for one in ids), vectors, there.revision)
        return _Held(people_here, until, there.created_at)

    def witness(self, source: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """See `Galleries.witness`.

        Raises:
            StorageError: it cannot be noted.
        """
        if not self._every_s:
            self._repository.add_audit(self._actor(source), action, subject, detail)
            return
        now, key = time.monotonic(), (source, action, subject)
        with self._lock:
            looks = self._looks.get(key)
            first = looks is None
            looks = self._looks.setdefault(key, _Looks(now))
            looks.looks += 1
            looks.faces += int(detail.get("faces", 0))
            looks.found.update(detail.get("found", ()))
            due = first or now - looks.noted_at >= self._every_s
        if due:
            self._note(key, now)

    def flush(self) -> None:
        """Note what was looked for and is not noted yet; to be called now and then, and at the end."""
        with self._lock:
            waiting = [key for key, looks in self._looks.items() if looks.looks]
            idle = time.monotonic() - 10 * max(self._every_s, 1.0)
            self._looks = {k: v for k, v in self._looks.items() if v.looks or v.noted_at > idle}
        for key in waiting:
            try:
                self._note(key, time.monotonic())
            except AihubError as error:
                logger.warning("looks of %s could not be noted yet: %s", key[0], error)

    def _note(self, key: tuple[str, str, str], now: float) -> None:
        source, action, subject = key
        with self._lock:
            looks = self._looks.get(key)
            if looks is None or not looks.looks:
                return
            fresh, self._looks[key] = looks, _Looks(now)
        detail = {"looks": fresh.looks, "faces": fresh.faces, "found": [*fresh.found][:MAX_FOUND]}
        try:
            self._repository.add_audit(self._actor(source), action, subject, detail)
        except AihubError:
            with self._lock:  # so that nothing is lost, and the next look tries again
                later = self._looks[key]
                later.looks, later.faces = later.looks + fresh.looks, later.faces + fresh.faces
                later.found.update(fresh.found)
                later.noted_at = float("-inf")
            raise

    def _actor(self, source: str) -> Actor:
        """Who a frame's source is: a key by its name, else the stream or the job."""
        tenant, _, who = source.partition("/")
        if who not in self._names:
            keys = {key.id: key.name for key in self._repository.list_keys(tenant)}
            self._names = {**keys, who: keys.get(who, "")}
        name = self._names[who]
        return Actor(name or source, tenant, who if name else "")

    def enrol(
        self, tenant: str, gallery: str, name: str, consent: str, faces: Sequence[Templates], *, by: Actor
    ) -> SubjectInfo:
        """Enrol somebody. The pictures are not among what is given, so they cannot be kept.

        Args:
            tenant: whose gallery.
            gallery: its name.
            name: what the person is called.
            consent: where their consent is to be found.
            faces: a template of each picture.
            by: who does it.

        Raises:
            InputError: the pictures are not all of one person.
            GalleryNotFoundError: the tenant has no such gallery.
            ConflictError: it is full.
        """
        for one in faces[1:]:
            if float(faces[0].likeness(one.vectors)[0, 0]) < SAME_PERSON:
                raise InputError("the pictures are not of one person", field="images")
        subject, sealer = uuid7(), self.sealer
        who = json.dumps({"name": name, "consent": consent}, ensure_ascii=False).encode()
        sealed = SealedSubject(subject, sealer.seal(who, _about(tenant, gallery, subject)), 0.0, 0.0, 0)
        templates = [
            SealedTemplate(
                subject,
                one.kind.name,
                sealer.seal(
                    one.vectors[0].astype("<f4").tobytes(), _about(tenant, gallery, subject, one.kind.name)
                ),
            )
            for one in faces
        ]
        made = self._repository.add_subject(tenant, gallery, sealed, templates, by=by)
        return self._told(tenant, gallery, made)

    def told(self, tenant: str, gallery: str, subjects: Sequence[SealedSubject]) -> list[SubjectInfo]:
        """Who they are.

        Raises:
            ConfigError: they were sealed with another key.
            StorageError: what is stored is damaged.
        """
        return [self._told(tenant, gallery, one) for one in subjects]

    def _told(self, tenant: str, gallery: str, one: SealedSubject) -> SubjectInfo:
        who = json.loads(self.sealer.open(one.sealed, _about(tenant, gallery, one.id)))
        return SubjectInfo(
            id=one.id, name=who["name"], consent=who["consent"], enrolled_at=one.enrolled_at,
            expires_at=one.expires_at, faces=one.templates,
        )  # fmt: skip


def _about(*parts: str) -> str:
    return "/".join(parts)
