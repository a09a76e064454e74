"""Which labels of a model are measured against which labels of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aihub.errors import InputError
from aihub.evaluation.truth import Truth


@dataclass(frozen=True, slots=True)
class Naming:
    """What both sides know.

    Attributes:
        labels: what is measured, in the data set's names and order.
        of_model: label of the model -> label of the data set; only for labels that are measured.
        model_only: labels of the model that are left out.
        data_only: labels of the data set that are left out.
    """

    labels: tuple[str, ...]
    of_model: Mapping[str, str]
    model_only: tuple[str, ...]
    data_only: tuple[str, ...]


def agree(
    truth: Truth, model_labels: Sequence[str], mapping: Mapping[str, str], only: Sequence[str] = ()
) -> Naming:
    """The labels that a model and a data set have in common.

    Args:
        truth: the data set.
        model_labels: what the model tells apart.
        mapping: label of the model -> label of the data set, where the names differ; several may go to one.
        only: labels of the data set to measure; none for all.

    Raises:
        InputError: a name that its side does not know, or nothing in common.
    """
    known = f"the data set knows {', '.join(truth.labels) or 'none'}"
    for mine, theirs in mapping.items():
        if mine not in model_labels:
            raise InputError(
                f"--map {mine}={theirs}: the model has no label {mine!r}",
                field="map", hint=f"it knows {_some(model_labels)}",
            )  # fmt: skip
        if theirs not in truth.labels:
            raise InputError(f"--map {mine}={theirs}: no label {theirs!r}", field="map", hint=known)
    for label in only:
        if label not in truth.labels:
            raise InputError(f"--labels {label}: no such label", field="labels", hint=known)
    wanted = [label for label in truth.labels if not only or label in only]
    named = {label: mapping.get(label, label) for label in model_labels}
    of_model = {mine: theirs for mine, theirs in named.items() if theirs in wanted}
    labels = tuple(label for label in wanted if label in of_model.values())
    if not labels:
        raise InputError(
            f"model and data set have no label in common: the model knows {_some(model_labels)}; {known}",
            field="labels", hint="join names that differ with --map MODEL_LABEL=DATASET_LABEL",
        )  # fmt: skip
    return Naming(
        labels,
        of_model,
        tuple(label for label in model_labels if label not in of_model),
        tuple(label for label in truth.labels if label not in labels),
    )


def _some(labels: Sequence[str], most: int = 12) -> str:
    rest = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {rest} more" if rest > 0 else "") if labels else "none"
