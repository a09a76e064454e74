"""Results drawn onto pictures: evidence for people, in reports, snapshots and the command line."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aihub.types import (
    AlgorithmCard,
    AnyResult,
    Codes,
    Detections,
    Fields,
    Findings,
    Image,
    Labels,
    Mask,
    Observation,
    Picture,
    Quality,
    Texts,
)

Color = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

PALETTE: tuple[Color, ...] = (
    (80, 175, 76), (243, 150, 33), (0, 152, 255), (176, 39, 156), (136, 150, 0), (99, 30, 233), (7, 193, 255), (181, 81, 63),
)  # fmt: skip
"""BGR, one for each label by its name, so that a person has the same colour everywhere."""
ALARM: Color = (48, 48, 229)
ZONE: Color = (255, 200, 0)
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
WHOLE = {(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)}
SHADE: Color = (40, 40, 40)


def draw(
    image: Image, result: AnyResult, *, zones: Sequence[Points] = (), lines: Sequence[Points] = ()
) -> Image:
    """A copy of the picture with the result on it.

    Args:
        image: `(height, width, 3)` uint8 BGR; not written to.
        result: what an algorithm gave for this picture.
        zones: polygons in relative coordinates, shaded.
        lines: lines in relative coordinates.
    """
    canvas = _Canvas(image)
    for zone in zones:
        canvas.zone(zone)
    for line in lines:
        canvas.line(line)
    _draw_result(canvas, result)
    return canvas.image


def overlays(card: AlgorithmCard, params: Mapping[str, Any]) -> tuple[list[Points], list[Points]]:
    """The zones and the lines among an algorithm's parameters, for `draw`; a zone that is the whole picture is left out.

    Args:
        card: the algorithm's card, which says what is a polygon and what is a line.
        params: settled parameters (`Algorithm.resolve(...).params`).
    """
    kinds = {name: param.type for name, param in card.params.items()}
    zones = [
        params[name]
        for name, kind in kinds.items()
        if kind == "polygon" and name in params and set(map(tuple, params[name])) != WHOLE
    ]
    lines = [params[name] for name, kind in kinds.items() if kind == "line" and name in params]
    return zones, lines


class _Canvas:
    """A picture being drawn on; strokes and letters grow with it."""

    def __init__(self, image: Image) -> None:
        self.image: Image = image.copy()
        self.height, self.width = image.shape[:2]
        self.stroke = max(1, round(min(self.height, self.width) / 300))
        self.letter = max(10, round(min(self.height, self.width) / 34))

    def box(self, box: npt.NDArray[Any], color: Color, text: str, *, bold: bool = False) -> None:
        x1, y1, x2, y2 = (round(float(side)) for side in box)
        cv2.rectangle(self.image, (x1, y1), (x2, y2), color, self.stroke * (2 if bold else 1), cv2.LINE_AA)
        if text:
            self.tag(text, x1, y1, color)

    def quad(self, quad: npt.NDArray[Any], color: Color, text: str) -> None:
        corners = np.round(quad).astype(np.int32)
        cv2.polylines(self.image, [corners], True, color, self.stroke, cv2.LINE_AA)
        if text:
            self.tag(text, int(corners[:, 0].min()), int(corners[:, 1].min()), color)

    def zone(self, zone: Points) -> None:
        corners = self._pixels(zone)
        shaded = self.image.copy()
        cv2.fillPoly(shaded, [corners], ZONE)
        cv2.addWeighted(shaded, 0.18, self.image, 0.82, 0, self.image)
        cv2.polylines(self.image, [corners], True, ZONE, self.stroke, cv2.LINE_AA)

    def line(self, line: Points) -> None:
        start, end = self._pixels(line).tolist()
        cv2.line(self.image, start, end, ZONE, self.stroke * 2, cv2.LINE_AA)

    def mask(self, mask: Mask) -> None:
        """Every class but the first in its colour, half transparent."""
        colors = np.array([BLACK, *(color_of(name) for name in mask.labels[1:])], np.uint8)
        part = mask.classes > 0
        mixed = (self.image[part] // 2) + (colors[mask.classes[part]] // 2)
        self.image[part] = mixed

    def replace(self, image: Image) -> None:
        """Another picture in place of this one, brought to its size."""
        if image.shape != self.image.shape:
            image = np.asarray(cv2.resize(image, (self.width, self.height)), np.uint8)
        self.image = image.copy()

    def tag(self, text: str, x: int, y: int, color: Color) -> None:
        """Text on a plate whose lower left corner is at x, y; moved inside the picture."""
        width, height = text_size(text, self.letter)
        pad = max(2, self.letter // 5)
        left = min(max(x, 0), max(self.width - width - 2 * pad, 0))
        bottom = min(max(y, height + 2 * pad), self.height - 1)
        cv2.rectangle(
            self.image, (left, bottom - height - 2 * pad), (left + width + 2 * pad, bottom), color, cv2.FILLED
        )
        put_text(self.image, text, (left + pad, bottom - pad), self.letter, _ink(color))

    def _pixels(self, points: Points) -> npt.NDArray[np.int32]:
        size = np.array([self.width - 1, self.height - 1], np.float64)
        return np.round(np.asarray(points, np.float64) * size).astype(np.int32)


def _draw_result(canvas: _Canvas, result: AnyResult) -> None:
    if isinstance(result, Findings):
        _draw_result(canvas, result.found)
        for observation in result.observations:
            _draw_observation(canvas, observation)
        if result.measures and not isinstance(result.found, Quality):
            canvas.tag("  ".join(f"{name} {value:g}" for name, value in result.measures.items()), 0, 0, SHADE)
    elif isinstance(result, Detections):
        _draw_detections(canvas, result)
    elif isinstance(result, Texts | Codes):
        for quad, text in zip(result.quads, result.text, strict=True):
            canvas.quad(quad, PALETTE[0], text if len(text) <= 40 else f"{text[:37]}...")
    elif isinstance(result, Quality):
        words = "  ".join(f"{name} {value:.3g}" for name, value in result.measures.items())
        canvas.tag(
            f"{'fault' if result.fault else 'fine'} {result.score:.2f}  {words}",
            0,
            0,
            ALARM if result.fault else SHADE,
        )
    else:
        _draw_rest(canvas, result)


def _draw_rest(canvas: _Canvas, result: AnyResult) -> None:
    if isinstance(result, Labels):
        rows = zip(result.label[:3], result.confidence, strict=False)
        canvas.tag("  ".join(f"{name} {score:.2f}" for name, score in rows) or "nothing", 0, 0, SHADE)
    elif isinstance(result, Fields):
        for one in result.fields:
            if one.quad is not None:
                color = ALARM if one.valid is False else PALETTE[0]
                canvas.quad(np.asarray(one.quad), color, f"{one.name}: {one.value}"[:48])
    elif isinstance(result, Mask):
        canvas.mask(result)
    elif isinstance(result, Picture):
        canvas.replace(result.image)


def _draw_detections(canvas: _Canvas, found: Detections) -> None:
    tracks = (
        [""] * len(found) if found.track_id is None else [f" #{track}" for track in found.track_id.tolist()]
    )
    if found.attributes is not None:
        more = (" ".join(map(str, row.values()))[:40] for row in found.attributes)
        tracks = [f"{track} {words}".rstrip() for track, words in zip(tracks, more, strict=True)]
    rows = zip(found.xyxy, found.names(), found.confidence.tolist(), tracks, strict=True)
    for box, name, confidence, track in rows:
        canvas.box(box, color_of(name), f"{name}{track} {confidence:.2f}")
    if found.keypoints is not None:
        for x, y, score in found.keypoints.reshape(-1, 3).tolist():
            if score > 0:
                cv2.circle(
                    canvas.image, (round(x), round(y)), canvas.stroke + 1, WHITE, cv2.FILLED, cv2.LINE_AA
                )


def _draw_observation(canvas: _Canvas, observation: Observation) -> None:
    if observation.box is not None:
        size = np.array([canvas.width, canvas.height] * 2, np.float64)
        canvas.box(np.asarray(observation.box) * size, ALARM, "", bold=True)


def color_of(label: str) -> Color:
    """The colour of a label: the same in every process."""
    return PALETTE[zlib.crc32(label.encode()) % len(PALETTE)]


def _ink(plate: Color) -> Color:
    """Black on bright plates, white on dark ones."""
    blue, green, red = plate
    return BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else WHITE


def text_size(text: str, letter: int) -> tuple[int, int]:
    """Width and height of a line of text, pixels."""
    if hasattr(cv2, "FontFace"):
        x, _, width, height = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("uni"), letter)
        return int(x + width), int(max(height, letter))
    (width, height), _ = cv2.getTextSize(_plain(text), cv2.FONT_HERSHEY_SIMPLEX, letter / 28, 1)
    return int(width), int(height)


def put_text(image: Image, text: str, place: tuple[int, int], letter: int, ink: Color) -> None:
    """A line of text written onto the picture itself; `place` is its lower left corner, `letter` its height, pixels."""
    if hasattr(cv2, "FontFace"):  # OpenCV 5 brings a font that has Chinese
        cv2.putText(image, text, place, ink, cv2.FontFace("uni"), letter)
    else:
        cv2.putText(image, _plain(text), place, cv2.FONT_HERSHEY_SIMPLEX, letter / 28, ink, 1, cv2.LINE_AA)


def _plain(text: str) -> str:
    """OpenCV 4 writes ASCII only."""
    return text.encode("ascii", "replace").decode()
