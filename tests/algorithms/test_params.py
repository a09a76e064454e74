"""Parameters: what passes, what is refused and with which words."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.params import allowed, params_model, schema, validate_params
from aihub.errors import CardError, ParamsError
from aihub.testing import FakePredictor
from aihub.types import AlgorithmCard, Param
from tests.algorithms.conftest import card_body, make_algorithm

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def param(kind: str, default: Any, **more: Any) -> Param:
    return Param.model_validate({"type": kind, "default": default, "description": "d", **more})


DECLARED = {
    "ratio": param("number", 0.5, minimum=0, maximum=1, unit="share"),
    "frames": param("integer", 3, minimum=1, maximum=100),
    "deep": param("boolean", False),
    "mode": param("string", "any", choices=["any", "in", "out"]),
    "name": param("string", "x"),
    "labels": param("strings", ["person"], choices=["person", "car"]),
    "words": param("strings", []),
    "zone": param("polygon", SQUARE),
    "line": param("line", [[0, 0.5], [1, 0.5]]),
}
MODEL = params_model("all-kinds", DECLARED)


def check(**given: Any) -> dict[str, Any]:
    return validate_params(MODEL, DECLARED, given)


def test_defaults_fill_what_is_not_given() -> None:
    values = check(frames=5)
    assert values["frames"] == 5
    assert values["ratio"] == 0.5
    assert values["zone"] == ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ratio", 1.01, "above the range"),
        ("ratio", -0.01, "below the range"),
        ("ratio", "0.5", "text is no number"),
        ("ratio", True, "a truth value is no number"),
        ("ratio", math.nan, "not a number at all"),
        ("ratio", math.inf, "JSON has no infinity"),
        ("ratio", None, "null is no value"),
        ("frames", 2.5, "half a frame"),
        ("frames", 0, "below the range"),
        ("deep", 1, "one is not true"),
        ("deep", "yes", "text is no truth value"),
        ("mode", "inside", "not one of the choices"),
        ("name", "x" * 201, "too long"),
        ("name", 7, "a number is no text"),
        ("labels", ["person", "dog"], "one of them is not a choice"),
        ("labels", "person", "a text is not a list of texts"),
        ("words", ["w"] * 65, "too many"),
        ("words", [1], "not a text"),
        ("zone", [[0, 0], [1, 1]], "two corners are no area"),
        ("zone", [[0, 0], [0.5, 0.5], [1, 1]], "all on one line"),
        ("zone", [[0.3, 0.3]] * 3, "all one point"),
        ("zone", [[0, 0], [1, 0], [1.2, 1]], "a corner outside the picture"),
        ("zone", [[0, 0, 0], [1, 0, 0], [1, 1, 0]], "three coordinates"),
        ("zone", [[0.1, i / 70] for i in range(65)], "too many corners"),
        ("zone", "0,0,1,1", "text"),
        ("line", [[0.5, 0.5], [0.5, 0.5]], "no length"),
        ("line", [[0, 0], [1, 1], [0, 1]], "three points"),
        ("line", [["0", 0], [1, 1]], "text for a coordinate"),
    ],
)
def test_a_wrong_value_is_refused_and_named(field: str, value: Any, reason: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check(**{field: value})
    assert caught.value.field == field, reason
    assert allowed(DECLARED[field]) in caught.value.message, reason


def test_an_unknown_parameter_suggests_the_nearest() -> None:
    with pytest.raises(ParamsError) as caught:
        check(raito=0.4)
    assert caught.value.field == "raito"
    assert caught.value.hint == "did you mean 'ratio'?"


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(ParamsError) as caught:
        check(zone=[[0, 0]] * 5000)
    assert len(caught.value.message) < 400


def test_a_bow_tie_is_a_polygon() -> None:
    # Its signed area is nil, but it has corners and the even-odd rule knows what is inside.
    assert len(check(zone=[[0, 0], [1, 1], [1, 0], [0, 1]])["zone"]) == 4


def test_the_schema_carries_unit_range_and_description() -> None:
    fields = json.loads(json.dumps(schema(MODEL)))["properties"]
    assert set(fields) == set(DECLARED)
    assert fields["ratio"]["unit"] == "share"
    assert (fields["ratio"]["minimum"], fields["ratio"]["maximum"]) == (0, 1)
    assert fields["mode"]["enum"] == ["any", "in", "out"]
    assert all(field["description"] for field in fields.values())
    assert schema(MODEL)["additionalProperties"] is False


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (param("number", 2, minimum=0, maximum=1), "default out of its own range"),
        (param("polygon", []), "default is no polygon"),
        (param("integer", "3"), "default of another type"),
        (param("number", 1, choices=["1"]), "choices of a number"),
        (param("string", "a", minimum=1), "range of a text"),
        (param("string", "c", choices=["a", "b"]), "default is none of the choices"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(declared: Param, reason: str) -> None:
    with pytest.raises(CardError) as caught:
        params_model("bad", {"it": declared})
    assert (caught.value.field or "").startswith("params.it"), reason


@given(st.floats(0, 1), st.integers(1, 100), st.booleans(), st.sampled_from(["any", "in", "out"]))
def test_what_passes_comes_out_as_it_went_in(ratio: float, frames: int, deep: bool, mode: str) -> None:
    values = check(ratio=ratio, frames=frames, deep=deep, mode=mode)
    assert (values["ratio"], values["frames"], values["deep"], values["mode"]) == (ratio, frames, deep, mode)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_anything_else_is_a_params_error_and_nothing_worse(value: Any) -> None:
    for field in DECLARED:
        with contextlib.suppress(ParamsError):
            check(**{field: value})


def test_a_parameter_reaches_the_setting_that_names_it() -> None:
    algorithm = make_algorithm(
        FakePredictor(),
        {"detect": {"model": "coco"}},
        {"filter": {"confidence": "$sure", "min_area": 0.25}},
        params={"sure": {"type": "number", "default": 0.5, "minimum": 0, "maximum": 1, "description": "d"}},
    )
    (_, detect), (_, filtered) = algorithm.resolve({"sure": 0.75}).stages
    assert detect.model_dump()["model"] == "coco"
    assert filtered.model_dump() == {"confidence": 0.75, "min_area": 0.25, "max_rows": 0}
    assert algorithm.models() == ("coco",)


@pytest.mark.parametrize(
    ("stages", "field", "words", "reason"),
    [
        ([{"detekt": {"model": "coco"}}], "stages.0.detekt", "detect", "unknown stage, the nearest is said"),
        ([{"detect": {"modell": "coco"}}], "stages.0.detect", "", "a setting is missing or unknown"),
        ([{"detect": {"model": "coco", "conf": 1}}], "stages.0.detect.conf", "confidence", "unknown setting"),
        ([{"detect": {"model": "coco", "confidence": 2}}], "stages.0.detect.confidence", "", "out of range"),
        (
            [{"detect": {"model": "coco"}}, {"select": {"labels": []}}],
            "stages.1.select.labels",
            "",
            "no labels",
        ),
    ],
)
def test_a_wrong_stage_is_a_card_error_with_file_and_field(
    stages: list[dict[str, Any]], field: str, words: str, reason: str
) -> None:
    with pytest.raises(CardError) as caught:
        Algorithm(AlgorithmCard.model_validate(card_body(stages)), FakePredictor())
    assert (caught.value.field or "").startswith(field), reason
    assert words in str(caught.value)
    assert caught.value.where == "test-card"


LOOSE = {"sure": {"type": "number", "default": 0.5, "description": "d"}}


def test_a_value_that_only_the_stage_refuses_is_the_callers_fault_not_the_cards() -> None:
    algorithm = make_algorithm(FakePredictor(), {"filter": {"confidence": "$sure"}}, params=LOOSE)
    with pytest.raises(ParamsError) as caught:
        algorithm.resolve({"sure": 7})
    assert caught.value.field == "sure"


def test_a_default_that_only_the_stage_refuses_is_the_cards_fault() -> None:
    loose = {"sure": {"type": "number", "default": 7, "description": "d"}}
    with pytest.raises(CardError) as caught:
        make_algorithm(FakePredictor(), {"filter": {"confidence": "$sure"}}, params=loose)
    assert caught.value.field == "params.sure.default"
