"""Results cut down to the columns a caller asks for: `fields=boxes,labels`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aihub.errors import InputError
from aihub.types import Task

_ROWS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    Task.OBJECT_DETECTION: (
        "detections",
        {
            "boxes": "box",
            "labels": "label",
            "scores": "confidence",
            "track_ids": "track_id",
            "keypoints": "keypoints",
            "attributes": "attributes",
        },
    ),
    Task.TEXT_RECOGNITION: ("texts", {"quads": "quad", "texts": "text", "scores": "confidence"}),
    Task.CODE_READING: ("codes", {"quads": "quad", "texts": "text", "formats": "format"}),
    Task.CLASSIFICATION: ("labels", {"labels": "label", "scores": "confidence"}),
    Task.FIELD_EXTRACTION: (
        "fields",
        {
            "names": "name",
            "values": "value",
            "scores": "confidence",
            "valid": "valid",
            "quads": "quad",
            "spans": "span",
        },
    ),
    Task.SERIES_ANALYSIS: (
        "points",
        {"at": "at", "values": "value", "lows": "low", "highs": "high", "labels": "label", "scores": "score"},
    ),
}
"""Task -> list of the result, and column -> name in each row."""
_WHOLE: Mapping[str, tuple[str, ...]] = {
    Task.PICTURE_QUALITY: ("fault", "score", "measures"),
    Task.RULE: ("observations", "measures"),
    Task.CLASSIFICATION: ("measures",),
    Task.SERIES_ANALYSIS: ("measures",),
    Task.PICTURE: ("measures",),
    Task.SEMANTIC_SEGMENTATION: ("shares",),
}
"""Task -> parts of the result that are columns as they are."""

FIELDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [name for _, columns in _ROWS.values() for name in columns]
        + [name for names in _WHOLE.values() for name in names]
    )
)
"""Every column there is."""


def known_fields(names: Sequence[str]) -> tuple[str, ...]:
    """The columns a caller names, each once.

    Raises:
        InputError: none, or one that no result has; says its name.
    """
    if not names:
        raise InputError("fields must name at least one column", field="fields", hint=_hint())
    for name in names:
        if name not in FIELDS:
            raise InputError(f"no result has the field {name[:64]!r}", field="fields", hint=_hint())
    return tuple(dict.fromkeys(names))


def _hint() -> str:
    return f"fields are {', '.join(FIELDS)}"


def columns_of(result: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Those columns of a result in its JSON form, with its task; what it does not have is left out.

    >>> row = {"box": [0, 0, 4, 4], "label": "cat", "confidence": 0.9}
    >>> columns_of({"task": "object-detection", "detections": [row]}, ["labels", "quads"])
    {'task': 'object-detection', 'labels': ['cat']}
    """
    task = result["task"]
    cut: dict[str, Any] = {"task": task}
    # A rule has its own columns and those of what it looked at.
    below = columns_of(result["found"], fields) if "found" in result else {}
    listed, columns = _ROWS.get(task, ("", {}))
    for name in fields:
        if name in columns:
            cut[name] = [row.get(columns[name]) for row in result[listed]]
        elif name in _WHOLE.get(task, ()):
            cut[name] = result[name]
        elif name in below:
            cut[name] = below[name]
    return cut


def refuse_missing(results: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """Refuse a column that none of these results has, so that a wrong name is not taken for an empty answer.

    Raises:
        InputError: says the column.
    """
    for name in fields:
        if results and not any(name in result for result in results):
            tasks = ", ".join(sorted({str(result["task"]) for result in results}))
            raise InputError(f"a result of the task {tasks} has no field {name!r}", field="fields")
