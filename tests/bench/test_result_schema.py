"""The schema in the repository is that of the results."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from aihub.bench.results import Result, load, save
from tools.result_schema import PATH, schema

from .some_results import result


def test_the_schema_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == schema(), "run: python -m tools.result_schema"


def test_a_saved_result_fits_it_and_reads_back(tmp_path: Path) -> None:
    path = save(result(), tmp_path)
    whole = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    validator.validate(whole)
    assert load(path) == result()
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**whole, "what": 1})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**whole, "seconds": "long"})


def test_names_in_it_are_those_of_a_result() -> None:
    assert set(json.loads(schema())["properties"]) == set(Result.model_fields)
