"""Stage `fire-flicker`: flames by colour and flicker, smoke as a grey veil. Classic, no network; the camera must stand still.

Colour of flames: R >= G > B with strong red (Chen, Wu, Chiou, "An early fire-detection method based on image processing",
ICIP 2004) and Cr well above Cb on a pixel brighter than the mean (Celik, Demirel, "Fire detection in video sequences using a
generic color model", Fire Safety Journal 44, 2009). Flicker: flames change without end in one place (Toreyin et al.,
"Computer vision based method for real-time fire and flame detection", Pattern Recognition Letters 27, 2006), while a thing that
passes changes each place but briefly, a thing that sways can be shifted onto what it was, and a lamp blinks as one.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.types import AnyResult, Detections, Frame, Image, Predictor

LABELS = ("fire", "smoke")
SIDE = 320
"""Longer side of the picture that is looked at, pixels."""
OUTAGE_S = 3.0
"""After a longer gap between frames the past says nothing."""

RED, CR_ABOVE_CB = 150, 40
FLICKER = 20
"""Grey levels by which a flame's pixel changes from one look to the next; noise and compression stay below."""
APART_S = 0.08
"""Least time between two looks: 12 a second show flicker up to 6 Hz, fewer show it as random change."""
MEMORY_S = 1.5
LEAST_LOOK_S = 1.2
SEED, GROWN = 0.38, 0.2
"""Share of the looks on which a pixel must have changed, at the heart of a flame and at its edge."""
RIGID = 0.75
"""Where a shift leaves less than this of the change unexplained, a thing moved."""
SHIFT = 16
"""Pixels that it may have moved."""
IN_STEP = 0.9
"""Where the changes of all pixels nearly add up, a lamp blinks: in flames one darkens while the next brightens."""
TRUST_MEMORY_S = 0.6
TRUSTED = 0.5
"""Share of the latest looks on which it neither moved nor blinked."""

STILL_RED, STILL_AREA, STILL_MOST = 190, 0.003, 0.35
"""On a single picture nothing flickers: redder, larger, and never more confident than this."""


class FireFlickerParams(StageParams):
    """How small, and whether smoke is looked for."""

    min_area: float = Field(
        0.0003,
        gt=0,
        le=0.5,
        description="Least area of a flame's flickering heart, as a share of the picture's.",
    )
    smoke: bool = Field(True, description="Look for smoke too.")


class _Found(NamedTuple):
    """A box in pixels of the small picture."""

    label: int
    box: tuple[int, int, int, int]
    confidence: float


class FireFlicker(Stage[FireFlickerParams]):
    """Detections labelled `fire` and `smoke`.

    Flames are sure after about a second of flicker; until then, and so on a single picture, colour alone speaks, with a
    confidence of 0.35 at most. Smoke needs ten seconds of clear view first, and is never reported on a single picture.
    """

    name = "fire-flicker"
    stateful = True

    def __init__(self, params: FireFlickerParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._flames = _Flames(params.min_area)
        self._veil = _Veil() if params.smoke else None
        self._shape: tuple[int, ...] = ()
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - a first stage
        """See the class."""
        small, now = frame.memo.get(("bgr", SIDE), lambda: _shrink(frame.image)), frame.monotonic
        if small.shape != self._shape or not 0 <= now - self._last <= OUTAGE_S:
            self._shape = small.shape
            self._flames = _Flames(self.params.min_area)
            self._veil = _Veil() if self.params.smoke else None
        self._last = now
        tones = cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb)
        made = self._flames.look(small, tones, now)
        if self._veil is not None:
            made += self._veil.look(small, tones, now)
        if not made:
            return Detections.empty(LABELS)
        made.sort(key=lambda one: -one.confidence)
        scale = np.array([frame.width / small.shape[1], frame.height / small.shape[0]] * 2)
        return Detections(
            (np.array([one.box for one in made]) * scale).astype(np.float32),
            np.array([one.confidence for one in made], np.float32),
            np.array([one.label for one in made], np.int32),
            LABELS,
        )


class _Look(NamedTuple):
    time: float
    luma: MatLike
    flame: MatLike


class _Flames:
    """Where pixels of a flame's colour flicker."""

    def __init__(self, min_area: float) -> None:
        self._min_area = min_area
        self._looks: deque[_Look] = deque()
        self._since = self._last = 0.0
        nothing: MatLike = np.zeros((0, 0), np.float32)
        self._active = self._trust = nothing

    def look(self, small: Image, tones: MatLike, now: float) -> list[_Found]:
        luma, flame = _flame_coloured(small, tones, RED)
        if not self._looks:
            self._since, self._active = now, np.zeros(luma.shape, np.float32)
            self._trust = np.zeros(luma.shape, np.float32)
        elapsed, self._last = now - self._last, now
        while len(self._looks) > 1 and now - self._looks[1].time >= APART_S:
            self._looks.popleft()
        before = self._looks[0] if self._looks else None
        self._looks.append(_Look(now, luma, flame))
        if before is None:
            return _still_flames(small, tones)
        change = cv2.subtract(luma, before.luma, dtype=cv2.CV_16S)
        flicker = _mask(cv2.absdiff(luma, before.luma) > FLICKER)
        flicker = cv2.bitwise_and(flicker, cv2.bitwise_or(flame, before.flame))
        cv2.accumulateWeighted(flicker, self._active, _share(elapsed, MEMORY_S))
        # at the start the running mean has seen less than its memory
        seen = 1 - math.exp(-max(now - self._since, 1e-3) / MEMORY_S)
        made = self._regions(flicker, change, before.luma, luma, seen, elapsed)
        return made if now - self._since >= LEAST_LOOK_S else _still_flames(small, tones)

    def _regions(
        self, flicker: MatLike, change: MatLike, before: MatLike, luma: MatLike, seen: float, elapsed: float
    ) -> list[_Found]:
        grown = _mask(self._active > np.float32(GROWN * seen))
        if not cv2.countNonZero(grown):
            return []
        outlines, _ = cv2.findContours(cv2.dilate(grown, _NEAR), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        made = []
        for outline in sorted(outlines, key=cv2.contourArea, reverse=True)[:_MOST]:
            x, y, width, height = cv2.boundingRect(outline)
            part = (slice(y, y + height), slice(x, x + width))
            heart = _mask(self._active[part] > np.float32(SEED * seen))
            if cv2.countNonZero(heart) < max(self._min_area * luma.size, 4):
                continue
            if cv2.countNonZero(flicker[part]):
                sound = not _in_step(flicker[part], change[part]) and not _shifted(
                    before, luma, x, y, width, height
                )
                trust, share = self._trust[part], _share(elapsed, TRUST_MEMORY_S)
                cv2.addWeighted(trust, 1 - share, trust, 0, share * sound, dst=trust)
            if cv2.mean(self._trust[part], heart)[0] < TRUSTED:
                continue
            strength = (cv2.mean(self._active[part], heart)[0] / seen - SEED) / (0.6 - SEED)
            confidence = min(0.45 + 0.5 * max(strength, 0.0), 0.95)
            columns, rows = (np.flatnonzero(grown[part].any(axis=axis)) for axis in (0, 1))
            box = x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1
            made.append(_Found(0, box, confidence))
        return made


def _in_step(flicker: MatLike, change: MatLike) -> bool:
    """Whether all that changed here became brighter, or all darker."""
    steps = change[flicker > 0].astype(np.int64)
    return bool(abs(steps.sum()) > IN_STEP * np.abs(steps).sum())


def _flame_coloured(small: Image, tones: MatLike, red: int) -> tuple[MatLike, MatLike]:
    """Luma, and 1 where a pixel has the colour of flames."""
    blue, green, red_channel = cv2.split(small)
    luma, cr, cb = cv2.split(tones)
    flame = cv2.subtract(cr, cb) > CR_ABOVE_CB
    if flame.any():
        flame &= (red_channel > red) & (red_channel >= green) & (green > blue)
        flame &= luma >= max(cv2.mean(luma)[0], 60.0)
    return luma, _mask(flame)


def _still_flames(small: Image, tones: MatLike) -> list[_Found]:
    """What colour alone says."""
    _, flame = _flame_coloured(small, tones, STILL_RED)
    _, cr, cb = cv2.split(tones)
    flame = cv2.bitwise_and(flame, _mask((cr > cv2.mean(cr)[0]) & (cb < cv2.mean(cb)[0])))
    flame = cv2.morphologyEx(flame, cv2.MORPH_OPEN, _SPECK)
    outlines, _ = cv2.findContours(cv2.dilate(flame, _NEAR), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    made = []
    for outline in sorted(outlines, key=cv2.contourArea, reverse=True)[:_MOST]:
        x, y, width, height = cv2.boundingRect(outline)
        area = cv2.countNonZero(flame[y : y + height, x : x + width]) / flame.size
        if area >= STILL_AREA:
            confidence = STILL_MOST * min(0.5 + 0.5 * area / (10 * STILL_AREA), 1.0)
            made.append(_Found(0, (x, y, x + width, y + height), confidence))
    return made


def _shifted(before: MatLike, luma: MatLike, x: int, y: int, width: int, height: int) -> bool:
    """Whether a shift explains most of what changed in this part of the picture: then a thing moved."""
    # every second pixel is enough to tell, and a flame may fill the picture
    step = 1 if width * height < 1024 else 2
    top, left = y - min(SHIFT, y) // step * step, x - min(SHIFT, x) // step * step
    around = before[top : y + height + SHIFT : step, left : x + width + SHIFT : step]
    part = luma[y : y + height : step, x : x + width : step]
    unlike = cv2.matchTemplate(np.ascontiguousarray(around), np.ascontiguousarray(part), cv2.TM_SQDIFF)
    unmoved = float(unlike[(y - top) // step, (x - left) // step])
    return float(unlike.min()) < RIGID * unmoved


CELL = 8
"""Side of a cell of the picture halved once more; smoke is judged by cell."""
VEIL_LOOK_S = 10.0
"""Seconds of clear view before smoke is reported."""
VEIL_MEMORY_S = 1.5
GROUND_S = 20.0
DETAIL = 6.0
"""Standard deviation that a cell's ground must have, in grey levels: on a blank wall no veil can be told."""
ALIKE = 0.7
THINNED = (0.15, 0.85)
LIFT = 20.0
AIR = (90.0, 245.0)
VEIL_CELLS = 10
VEIL_MOST = 0.6
"""When more of the picture is veiled, it is fog, a lamp, or the lens."""


class _Veil:
    """Smoke before a known ground: the same detail, fainter, under a grey that was added.

    In each cell the picture is fitted as `gain * ground + lift`. What stands before the ground has other detail; a shadow
    has no lift; a lamp has more gain, not less (the model of a semi-transparent medium, after Tian et al., "Smoke detection
    in video: an image separation approach", IJCV 106, 2014).
    """

    def __init__(self) -> None:
        self._since = self._last = 0.0
        nothing: MatLike = np.zeros((0, 0), np.float32)
        self._ground = self._chroma = self._veiled = nothing

    def look(self, small: Image, tones: MatLike, now: float) -> list[_Found]:
        rows, columns = small.shape[0] // (2 * CELL), small.shape[1] // (2 * CELL)
        if rows < 3 or columns < 3:
            return []
        size = (columns * CELL, rows * CELL)
        half = cv2.resize(tones, size, interpolation=cv2.INTER_AREA)
        luma: MatLike = half[:, :, 0].astype(np.float32)
        chroma = _cells(cv2.absdiff(half[:, :, 1], half[:, :, 2]).astype(np.float32))
        elapsed, self._last = now - self._last, now
        if not self._ground.size:
            self._since, self._ground, self._chroma = now, luma, chroma
            self._veiled = np.zeros((rows, columns), np.float32)
            return []
        veil = self._fit(luma, chroma)
        cv2.accumulateWeighted(veil, self._veiled, _share(elapsed, VEIL_MEMORY_S))
        known = now - self._since
        learn = _share(elapsed, min(GROUND_S, max(known, elapsed)))
        # the veil itself must not become ground
        clear = cv2.erode(_mask(self._veiled < (0.2 if known > VEIL_LOOK_S else 2.0)), _SPECK)
        cv2.accumulateWeighted(chroma, self._chroma, learn, mask=clear)
        wide = cv2.resize(clear, size, interpolation=cv2.INTER_NEAREST)
        cv2.accumulateWeighted(luma, self._ground, learn, mask=wide)
        return self._regions() if known > VEIL_LOOK_S else []

    def _fit(self, luma: MatLike, chroma: MatLike) -> MatLike:
        ground = self._ground
        mean, seen = _cells(ground), _cells(luma)
        spread = np.maximum(_cells(ground * ground) - mean * mean, 1e-3)
        seen_spread = np.maximum(_cells(luma * luma) - seen * seen, 1e-3)
        common = _cells(ground * luma) - mean * seen
        gain = common / spread
        lift = seen - gain * mean
        air = lift / np.maximum(1 - gain, 0.05)
        veil = (spread > DETAIL**2) & (common > ALIKE * np.sqrt(spread * seen_spread))
        veil &= (gain > THINNED[0]) & (gain < THINNED[1]) & (lift > LIFT) & (air > AIR[0]) & (air < AIR[1])
        veil &= chroma < np.maximum(self._chroma * np.float32(0.9), np.float32(12))
        return np.asarray(veil, np.float32)

    def _regions(self) -> list[_Found]:
        lasting = _mask(self._veiled > 0.5)
        if not VEIL_CELLS <= cv2.countNonZero(lasting) <= VEIL_MOST * lasting.size:
            return []
        outlines, _ = cv2.findContours(lasting, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        made = []
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            cells = cv2.countNonZero(lasting[y : y + height, x : x + width])
            if cells >= VEIL_CELLS:
                confidence = min(0.4 + 0.02 * (cells - VEIL_CELLS), 0.7)
                step = 2 * CELL
                made.append(
                    _Found(1, (x * step, y * step, (x + width) * step, (y + height) * step), confidence)
                )
        return made


def _cells(values: MatLike) -> MatLike:
    """Means of cells."""
    size = (values.shape[1] // CELL, values.shape[0] // CELL)
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


def _shrink(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return image
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    # a mean over all pixels of a large picture would cost more than all that follows
    if scale < 0.5:
        image = np.asarray(
            cv2.resize(image, (size[0] * 2, size[1] * 2), interpolation=cv2.INTER_NEAREST), np.uint8
        )
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _mask(holds: npt.NDArray[np.bool_]) -> MatLike:
    """1 where it holds; the same memory."""
    return holds.view(np.uint8)


def _share(elapsed: float, constant: float) -> float:
    """Weight of the newest picture in a running mean with that time constant."""
    return 1 - math.exp(-elapsed / max(constant, 1e-3))


_MOST = 20
_NEAR: MatLike = np.ones((5, 5), np.uint8)
_SPECK: MatLike = np.ones((3, 3), np.uint8)
