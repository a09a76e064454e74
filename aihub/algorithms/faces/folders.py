"""Galleries where there is no hub: pictures on this machine, one person each, called as the file is. Nothing is kept of them.

A gallery is a folder or a pattern, `people` or `people/*_front.jpg`, from here or below the test media (`AIHUB_TEST_MEDIA`).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aihub.algorithms.faces.embedding import kind_of
from aihub.algorithms.faces.enrolling import template_of
from aihub.algorithms.galleries import NOBODY, Enrolled, place_beneath
from aihub.errors import AihubError, GalleryNotFoundError
from aihub.types import Frame, Predictor

logger = logging.getLogger(__name__)

MAX_PICTURES, MAX_FOLDERS = 200, 8
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

_Stamp = tuple[tuple[str, int], ...]


class FolderGalleries:
    """Satisfies `Galleries`. Asked without a name it has nobody; a picture that is of no use is left out and told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[_Stamp, str], Enrolled] = {}

    def enrolled(self, source: str, gallery: str, predictor: Predictor) -> Enrolled:  # noqa: ARG002 - there is one user
        """See `Galleries.enrolled`.

        Raises:
            GalleryNotFoundError: there are no pictures of that name.
        """
        if not gallery:
            return NOBODY
        paths = _pictures(gallery)
        if not paths:
            raise GalleryNotFoundError(gallery)
        stamp = tuple((str(path), path.stat().st_mtime_ns) for path in paths)
        key = (stamp, kind_of(predictor).name)
        with self._lock:
            if key not in self._known:
                if len(self._known) >= MAX_FOLDERS:
                    self._known.clear()
                self._known[key] = self._enrol(stamp, predictor)
            return self._known[key]

    def _enrol(self, stamp: _Stamp, predictor: Predictor) -> Enrolled:
        names, vectors = [], []
        for place, _ in stamp:
            image = cv2.imread(place, cv2.IMREAD_COLOR)
            if image is None:
                logger.warning("%s is no picture", place)
                continue
            try:
                vectors.append(template_of(predictor, Frame(np.asarray(image, np.uint8))).vectors[0])
            except AihubError as error:
                logger.warning("%s: %s", place, error)
                continue
            names.append(Path(place).stem)
        if not vectors:
            return NOBODY
        return Enrolled(tuple(names), tuple(names), np.stack(vectors).astype(np.float32))

    def witness(self, source: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """There is no audit where there is no hub."""


place_beneath(FolderGalleries())


def _pictures(gallery: str) -> list[Path]:
    for root in (Path(), Path(os.environ.get("AIHUB_TEST_MEDIA") or ".")):
        try:
            folder = root / gallery
            found = folder.iterdir() if folder.is_dir() else root.glob(gallery)
            paths = sorted(path for path in found if path.suffix.lower() in _ENDINGS)[:MAX_PICTURES]
        except (OSError, ValueError, NotImplementedError):
            continue
        if paths:
            return paths
    return []
