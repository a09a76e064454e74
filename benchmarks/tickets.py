"""How often `classify-text` names the right kind of call, on the sentences that were held out.

    python -m benchmarks.tickets

All sentences are written, by one author: see `aihub/algorithms/language/tickets/README.md`.
"""

from __future__ import annotations

from collections import Counter

from aihub.algorithms.language.classify import labelled, model
from aihub.algorithms.language.grams import is_han, runs


def main() -> None:
    """Print shares of right answers, for all and by language, and what was taken for what."""
    linear = model()
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    mistakes: Counter[str] = Counter()
    sure = sure_right = 0
    for label, text in labelled("held-out"):
        scores = linear.scores(text)
        best = max(scores, key=lambda name: scores[name], default="none")
        language = "Chinese" if any(map(is_han, runs(text))) else "English"
        for name in ("all", language, label):
            total[name] += 1
            right[name] += best == label
        if best != label:
            mistakes[f"{label} taken for {best}: {text}"] += 1
        if scores.get(best, 0.0) >= 0.5:
            sure, sure_right = sure + 1, sure_right + (best == label)
    for name in total:
        print(f"{name:9} {right[name]:3} of {total[name]:3} = {right[name] / total[name]:.1%}")
    print(f"those with probability 0.5 or more: {sure_right} of {sure} = {sure_right / max(1, sure):.1%}")
    print(*sorted(mistakes), sep="\n")


if __name__ == "__main__":
    main()
