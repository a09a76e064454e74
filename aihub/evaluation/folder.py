"""A report as files: figures, words, the curves and a contact sheet."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from aihub.errors import InputError
from aihub.evaluation.chart import curves
from aihub.evaluation.report import Report
from aihub.evaluation.sheet import contact_sheet
from aihub.evaluation.tables import by_label, by_source, markdown, remarks, summary
from aihub.types import Image

FILES = ("report.json", "report.md", "curve.png", "contact_sheet.jpg")
_QUALITY = 88


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write `report.json`, `report.md`, `curve.png` and `contact_sheet.jpg`; those of an earlier report are replaced.

    Args:
        report: what was measured.
        folder: where to; there already.

    Raises:
        InputError: a picture cannot be written, or is no longer what it was when it was measured.
        OSError: a file cannot be written.
    """
    figures, words, curve, sheet = (folder / name for name in FILES)
    figures.write_text(json.dumps(report.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    words.write_text("\n".join(_markdown(report)) + "\n", encoding="utf-8")
    _write(curve, curves(report))
    _write(sheet, contact_sheet(report))
    return [figures, words, curve, sheet]


def _markdown(report: Report) -> list[str]:
    first, *rest = summary(report)
    lines = [f"# {first}", "", *rest, "", *markdown(by_label(report)), ""]
    sources = by_source(report)
    if sources[1]:
        lines += ["## By source", "", *markdown(sources), ""]
    lines += [*(f"- {remark}" for remark in remarks(report)), ""]
    return [
        *lines,
        "![precision over recall](curve.png)",
        "",
        "![hits, misses, false alarms](contact_sheet.jpg)",
    ]


def _write(path: Path, image: Image) -> None:
    done, data = cv2.imencode(
        path.suffix, image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if path.suffix == ".jpg" else []
    )
    if not done:
        raise InputError(f"{path} cannot be drawn", field="out")
    path.write_bytes(data.tobytes())
