"""How good a detector is on pictures that people have labelled.

    from aihub.evaluation import evaluate, read_truth, through

    report = evaluate(through(engine, "yolox-nano"), read_truth(Path("yard"), "test"), model="yolox-nano")
    report.to_json()["classes"]["person"]["f1"]

`predict` may be any function of a `Frame` that gives `Detections`, or a future of them.
"""

from aihub.evaluation.comparison import Comparison, Difference, compare
from aihub.evaluation.detections import Answers, Found, Predict, ask, through
from aihub.evaluation.figures import Point, Rule, Tally
from aihub.evaluation.naming import Naming, agree
from aihub.evaluation.report import Column, Report, evaluate, measure
from aihub.evaluation.truth import Picture, Truth, read_truth

__all__ = [
    "Answers", "Column", "Comparison", "Difference", "Found", "Naming", "Picture", "Point", "Predict", "Report", "Rule",
    "Tally", "Truth", "agree", "ask", "compare", "evaluate", "measure", "read_truth", "through",
]  # fmt: skip
