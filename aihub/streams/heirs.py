"""Who comes after whom: trackers lose things and find them again under another number; the clock must not begin anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.streams.ruling import F64, Ids, Ledger, Mask, Rows
from aihub.types import Detections
from aihub.types.geometry import box_iou

Table = npt.NDArray[Any]

SAME_PLACE_IOU = 0.3
"""Overlap from which a new track, where an old one was lost, is the same thing."""
HEIR_COLUMNS = (("key", "i8"), ("again", "i8"), ("class_id", "i4"), ("box", "f8", 4), ("seen", "f8"))
"""Columns that a ledger of lasting things has, besides its own: the track that its key names and how often that was
given before, what and where it was, and when."""


def rows_of(ledger: Ledger, objects: Detections, ids: Ids, boxes: F64, now: float, unseen_s: float) -> Rows:
    """Row of each object in a ledger with `HEIR_COLUMNS`; whoever takes a lost one's place takes its row.

    Args:
        ledger: is brought up to date: `seen`, `box` and `class_id` are those of this frame.
        objects: `(N,)` things of this frame.
        ids: `(N,)` their tracks.
        boxes: `(N, 4)` relative.
        now: seconds.
        unseen_s: seconds after which a lost thing is forgotten.
    """
    ledger.keep(now - ledger.table["seen"] <= unseen_s)
    rows, fresh = ledger.rows(ids)
    table = ledger.table
    name_fresh(table, rows, fresh, ids)
    lost = np.ones(len(table), np.bool_)
    lost[rows] = False
    if fresh.any() and lost.any():
        rows = inherit(ledger, rows, ids, objects, boxes, lost, fresh)
        table = ledger.table
    table["seen"][rows], table["box"][rows], table["class_id"][rows] = now, boxes, objects.class_id
    return rows


def inherit(
    ledger: Ledger, rows: Rows, ids: Ids, objects: Detections, boxes: F64, lost: Mask, able: Mask
) -> Rows:
    """Give rows of lost things to those of the same kind that appeared in their place; the best overlap first.

    Args:
        ledger: with columns `class_id` and `box`; rows whose things were taken over are dropped.
        rows: `(N,)` row of each thing of this frame.
        ids: `(N,)` their tracks.
        objects: `(N,)` the things.
        boxes: `(N, 4)` relative.
        lost: of the ledger's rows, those that may be taken over.
        able: `(N,)` who may take one over.

    Returns:
        Row of each thing afterwards.
    """
    table = ledger.table
    heirs, left = np.flatnonzero(able), np.flatnonzero(lost)
    same = box_iou(table["box"][left], boxes[heirs])
    same[table["class_id"][left][:, None] != objects.class_id[heirs][None, :]] = 0
    gone = np.zeros(len(table), np.bool_)
    while same.size and same.max() >= SAME_PLACE_IOU:  # ids change rarely: this runs once or not at all
        old, new = np.unravel_index(int(same.argmax()), same.shape)
        row = rows[heirs[new]]
        table[row] = table[left[old]]
        table["track"][row] = ids[heirs[new]]
        gone[left[old]] = True
        same[old, :] = same[:, new] = 0
    ledger.keep(~gone)
    return ledger.rows(ids)[0]


def name_fresh(table: Table, rows: Rows, fresh: Mask, ids: Ids) -> None:
    """Give new rows of a table with columns `key` and `again` the name of their track, each its own.

    Args:
        table: is written to.
        rows: `(N,)` row of each thing.
        fresh: `(N,)` whether it is new.
        ids: `(N,)` its track.
    """
    if not fresh.any():
        return
    table["key"][rows[fresh]], table["again"][rows[fresh]] = ids[fresh], -1
    for row in rows[fresh & np.isin(ids, table["key"][table["again"] >= 0])].tolist():
        # a lost track that another came after is back: its key lives on with the heir
        table["again"][row] = table["again"][table["key"] == table["key"][row]].max() + 1
    table["again"][table["again"] < 0] = 0


def key_of(row: np.void) -> str:
    """What an observation about a row of such a ledger is called."""
    return f"track/{row['key']}" + (f"/again-{row['again']}" if row["again"] else "")
