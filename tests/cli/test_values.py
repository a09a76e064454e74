from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.cli.values import parse_params
from aihub.errors import ParamsError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.from_regex(r"[a-z_.]{1,12}", fullmatch=True), JSON)
def test_json_values_come_back_as_they_were(name: str, value: object) -> None:
    assert parse_params([f"{name}={json.dumps(value)}"]) == {name: value}


@pytest.mark.parametrize("pair", ["confidence", ""])
def test_pairs_have_a_name_and_a_value(pair: str) -> None:
    with pytest.raises(ParamsError, match="NAME=VALUE"):
        parse_params([pair])


def test_broken_json_is_text_which_the_algorithm_then_refuses() -> None:
    assert parse_params(["zone=[[0,0],[1"]) == {"zone": "[[0,0],[1"}


def test_the_last_of_two_counts_and_none_are_none() -> None:
    assert parse_params(["a=1", "a=2"]) == {"a": 2}
    assert parse_params(None) == {}
