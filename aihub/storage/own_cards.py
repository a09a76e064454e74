"""Algorithm cards that users gave to a running hub. Every process of it reads them from here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, Text, cast, delete, func, select, update

from aihub.errors import AlgorithmNotFoundError
from aihub.storage.audit import note
from aihub.storage.base import Store
from aihub.storage.records import HUB, Actor
from aihub.storage.tables import own_cards, streams


@dataclass(frozen=True, slots=True)
class OwnCard:
    """A card as it was given.

    Attributes:
        id: of the algorithm.
        text: YAML.
        revision: grows with every change of any card.
    """

    id: str
    text: str
    revision: int


class CardStore(Store):
    """Methods on users' cards. Each change is noted in the audit, in the same transaction."""

    def cards_stamp(self) -> tuple[int, int]:
        """Changes when a card does: how many there are, and the newest revision. Cheap."""
        query = select(func.count(), func.coalesce(func.max(own_cards.c.revision), 0))
        with self._database.read() as connection:
            count, revision = connection.execute(query).one()
        return int(count), int(revision)

    def list_cards(self) -> list[OwnCard]:
        """All, by id."""
        with self._database.read() as connection:
            rows = connection.execute(select(own_cards).order_by(own_cards.c.id))
            return [OwnCard(row.id, row.text, row.revision) for row in rows]

    def put_card(self, card_id: str, text: str, *, by: Actor = HUB, now: float | None = None) -> bool:
        """Store a card, in the place of the one of the same id. Streams that it watches are bound anew.

        Returns:
            Whether there was none.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            known = connection.execute(
                select(own_cards.c.id).where(own_cards.c.id == card_id).with_for_update()
            ).first()
            row = {"id": card_id, "text": text, "revision": _next(connection), "put_by": by.name, "at": at}
            statement = self._insert(own_cards).values(**row)
            changed = {name: statement.excluded[name] for name in row if name != "id"}
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
            _bind_anew(connection, card_id)
            note(connection, by, "card.put", card_id, {"characters": len(text)}, at=at)
        return known is None

    def delete_card(self, card_id: str, *, by: Actor = HUB, now: float | None = None) -> None:
        """Forget a card. Tasks that name it no longer run, and say so.

        Raises:
            AlgorithmNotFoundError: no user gave one of that id.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            if not connection.execute(delete(own_cards).where(own_cards.c.id == card_id)).rowcount:
                raise AlgorithmNotFoundError(card_id)
            _bind_anew(connection, card_id)
            note(connection, by, "card.delete", card_id, at=at)


def _next(connection: Connection) -> int:
    newest = connection.execute(select(func.coalesce(func.max(own_cards.c.revision), 0))).scalar_one()
    return int(newest) + 1


def _bind_anew(connection: Connection, card_id: str) -> None:
    """A host binds a stream's tasks anew when the stream's revision changes, whatever process it is in."""
    named = cast(streams.c.tasks, Text).contains(f'"{card_id}"', autoescape=True)
    connection.execute(update(streams).where(named).values(revision=streams.c.revision + 1))
