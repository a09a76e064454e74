"""What is made from the lines of a job once they are complete: a film with the results drawn on it, and COCO.

Both are made from the lines alone and from the input, not while it is analysed: a restart in their midst begins them again and looks at
no frame twice.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from aihub.algorithms.drawing import draw, overlays
from aihub.jobs.film import Film, FilmWriter
from aihub.jobs.folders import JobFolder, check_room
from aihub.jobs.lines import read_lines
from aihub.jobs.workplace import Desk, Pace, Workplace
from aihub.types import Image, result_from_json
from aihub.types.jobs import JobSpec

_ROOM_EVERY = 100

Told = Callable[[int], None]
"""Hears how many frames are done."""


def draw_film(spec: JobSpec, place: Workplace, desk: Desk, folder: JobFolder, told: Told) -> None:
    """Write the annotated film: the analysed frames, one after the other, at the rate at which they were taken.

    Raises:
        Stopped: somebody asked for it.
        AihubError: the film cannot be read again, or not be written.
    """
    fresh = folder.path / "annotated.part.mp4"
    artist = _Artist(spec, place)
    seen = _by_frame(folder.lines)
    index, results = next(seen, (-1, []))
    writer: FilmWriter | None = None
    pace = Pace(place.busy)
    try:
        with Film(folder.input, max_pixels=place.max_pixels) as film:
            for done, shot in enumerate(film.shots(spec.fps), 1):
                desk.check()
                while 0 <= index < shot.index:
                    index, results = next(seen, (-1, []))
                image = artist.draw(shot.image, results if index == shot.index else [])
                if writer is None:
                    writer = FilmWriter(
                        fresh, image.shape[1], image.shape[0], min(spec.fps, film.fps), spec.codec
                    )
                writer.write(image)
                told(done)
                pace.frame_done()
                if done % _ROOM_EVERY == 0:
                    check_room(folder.path)
    finally:
        if writer is not None:
            writer.close()
    if writer is not None:
        fresh.replace(folder.film)


class _Artist:
    def __init__(self, spec: JobSpec, place: Workplace) -> None:
        self._overlays = {}
        for task in spec.tasks:
            algorithm = place.registry.get(task.algorithm)
            settled = algorithm.resolve(task.params).params
            self._overlays[task.id] = overlays(algorithm.card, settled)

    def draw(self, image: Image, results: Iterable[dict[str, Any]]) -> Image:
        for line in results:
            if "result" in line:
                zones, lines = self._overlays.get(line["task"], ([], []))
                image = draw(image, result_from_json(line["result"]), zones=zones, lines=lines)
        return image


def _by_frame(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    of_frames = (line for line in read_lines(path) if "frame" in line)
    for index, group in itertools.groupby(of_frames, operator.itemgetter("frame")):
        yield index, list(group)


def write_coco(spec: JobSpec, desk: Desk, folder: JobFolder, size: tuple[int, int] | None) -> None:
    """Write all detections as COCO: categories by label, boxes as x, y, width, height in pixels, with `score`.

    Images that nothing was found on are in it too. Beside COCO's fields an image of a film has `t`, and an annotation has `algorithm`,
    `task` and, once tracked, `track_id`. Written row by row, so that a long film needs no more memory than a short one.

    Args:
        spec: the job.
        desk: asked now and then whether to stop.
        folder: where its lines are.
        size: width and height of the frames of a film; pictures bring their own.

    Raises:
        Stopped: somebody asked for it.
    """
    fresh = folder.path / "coco.part.json"
    categories: dict[str, int] = {}
    with fresh.open("w", encoding="utf-8") as file:
        about = {"description": f"aihub job {spec.id}", "version": "1.0"}
        file.write(f'{{"info":{json.dumps(about)},"licenses":[],"images":[')
        images = (_image(spec, index, group[0], size) for index, group in _by_frame(folder.lines))
        _write_rows(file.write, images, desk)
        file.write('],"annotations":[')
        _write_rows(file.write, _annotations(folder.lines, categories), desk)
        rows = [{"id": number, "name": name} for name, number in categories.items()]
        file.write(f'],"categories":{json.dumps(rows, ensure_ascii=False)}}}\n')
    fresh.replace(folder.coco)


def _write_rows(write: Callable[[str], Any], rows: Iterable[dict[str, Any]], desk: Desk) -> None:
    for number, row in enumerate(rows):
        if number % 256 == 0:
            desk.check()
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        write(f",{text}" if number else text)


def _image(spec: JobSpec, index: int, line: dict[str, Any], size: tuple[int, int] | None) -> dict[str, Any]:
    width, height = line.get("size") or size or (0, 0)
    row = {"id": index + 1, "width": width, "height": height}
    if "picture" in line:
        return row | {"file_name": line["picture"]}
    return row | {"file_name": f"{spec.name or spec.id}#{index}", "t": line["t"]}


def _annotations(path: Path, categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    number = 0
    for line in read_lines(path):
        result = line.get("result", {})
        for found in result.get("found", result).get("detections", ()):
            x1, y1, x2, y2 = found["box"]
            number += 1
            width, height = round(x2 - x1, 1), round(y2 - y1, 1)
            row = {
                "id": number,
                "image_id": line["frame"] + 1,
                "category_id": categories.setdefault(found["label"], len(categories) + 1),
                "bbox": [x1, y1, width, height],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "score": found["confidence"],
                "algorithm": line["algorithm"],
                "task": line["task"],
            }
            yield row | ({"track_id": found["track_id"]} if "track_id" in found else {})
