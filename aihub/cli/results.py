"""Results for people to read, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from aihub.cli.listen import show_heard
from aihub.cli.output import print_table, say
from aihub.types import (
    AnyResult,
    Codes,
    Detections,
    Fields,
    Findings,
    Labels,
    Mask,
    Picture,
    Points,
    Quality,
    Recording,
    SoundEvents,
    Texts,
    Transcript,
)

_VALID = {True: "yes", False: "no", None: "-"}


def show(result: AnyResult) -> None:
    """Print it as a table."""
    if isinstance(result, Findings):
        show(result.found)
        for observation in result.observations:
            say(
                "  ",
                ("alarm", "red"),
                f" {observation.label} {observation.confidence:.2f} ({observation.key})",
            )
        for name, value in result.measures.items():
            if name != "score":  # it stands by the verdict
                say(f"  {name}: {value:g}")
    elif isinstance(result, Transcript | SoundEvents | Recording):
        show_heard(result)
    elif isinstance(result, Picture):
        say(f"  a picture of {result.image.shape[1]} x {result.image.shape[0]}")
        _measures(result.measures)
    elif isinstance(result, Quality):
        say("  fault: ", ("yes", "red") if result.fault else "no", f"  (score {result.score:.2f})")
    elif not len(result):
        say("  nothing found")
    elif isinstance(result, Detections):
        rows = result.to_json()["detections"]
        print_table(
            ("  LABEL", "CONFIDENCE", "BOX x1 y1 x2 y2"),
            ((f"  {r['label']}", f"{r['confidence']:.2f}", " ".join(f"{side:.0f}" for side in r["box"])) for r in rows),
        )  # fmt: skip
    elif isinstance(result, Texts):
        scores = (f"{score:.2f}" for score in result.confidence)
        print_table(
            ("  CONFIDENCE", "TEXT"),
            ((f"  {score}", text) for score, text in zip(scores, result.text, strict=True)),
            free=("TEXT",),
        )
    elif isinstance(result, Codes):
        print_table(
            ("  FORMAT", "TEXT"), zip((f"  {name}" for name in result.formats), result.text, strict=True)
        )
    else:
        _show_named(result)


def _show_named(result: Labels | Fields | Mask | Points) -> None:
    """What has names and values."""
    if isinstance(result, Labels):
        rows = ((f"  {n}", f"{c:.2f}") for n, c in zip(result.label, result.confidence, strict=True))
        print_table(("  LABEL", "CONFIDENCE"), rows)
        _measures(result.measures)
    elif isinstance(result, Fields):
        print_table(
            ("  FIELD", "CONFIDENCE", "VALID", "VALUE"),
            (
                (f"  {one.name}", f"{one.confidence:.2f}", _VALID[one.valid], one.value)
                for one in result.fields
            ),
            free=("VALUE",),
        )
    elif isinstance(result, Mask):
        shares = zip(result.labels, result.shares().tolist(), strict=True)
        print_table(("  CLASS", "SHARE"), ((f"  {name}", f"{share:.1%}") for name, share in shares))
    else:
        columns = zip(result.at.tolist(), result.label, result.value, result.low, result.high, strict=True)
        print_table(
            ("  TIME", "WHAT", "VALUE", "LOW", "HIGH"),
            (
                (f"  {_moment(at)}", name, f"{value:.6g}", f"{low:.6g}", f"{high:.6g}")
                for at, name, value, low, high in columns
            ),
        )
        _measures(result.measures)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _measures(measures: Mapping[str, float]) -> None:
    for name, value in measures.items():
        say(f"  {name}: {value:g}")
