"""Parameters: what a card declares becomes a pydantic model, a JSON schema, and the settings of its stages."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from aihub.algorithms.base import Stage, StageNotFoundError, StageParams, stage_type
from aihub.errors import CardError, ParamsError
from aihub.types import Param

Settings = dict[str, dict[str, Any]]
StageSpec = tuple[type[Stage[Any]], StageParams]

MAX_TEXT = 200
MAX_WORDS = 64
MAX_CORNERS = 64

_SMALLEST_AREA = 1e-6

Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
Point = tuple[Unit, Unit]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


def _broad(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Corners that do not all lie on one line."""
    x0, y0 = points[0]
    xf, yf = max(points, key=lambda p: (p[0] - x0) ** 2 + (p[1] - y0) ** 2)
    if max(abs((xf - x0) * (y - y0) - (yf - y0) * (x - x0)) for x, y in points) < _SMALLEST_AREA:
        raise ValueError("corners lie on one line")
    return points


def _long(points: tuple[Point, Point]) -> tuple[Point, Point]:
    (x1, y1), (x2, y2) = points
    if (x2 - x1) ** 2 + (y2 - y1) ** 2 < _SMALLEST_AREA:
        raise ValueError("ends of the line are the same point")
    return points


_KINDS: dict[str, Any] = {
    "number": Annotated[float, Field(strict=True, allow_inf_nan=False)],
    "integer": Annotated[int, Field(strict=True)],
    "boolean": Annotated[bool, Field(strict=True)],
    "string": Annotated[Text, Field(strict=True)],
    "strings": Annotated[tuple[Text, ...], Field(max_length=MAX_WORDS)],
    "polygon": Annotated[
        tuple[Point, ...], Field(min_length=3, max_length=MAX_CORNERS), AfterValidator(_broad)
    ],
    "line": Annotated[tuple[Point, Point], AfterValidator(_long)],
}


def params_model(name: str, params: Mapping[str, Param]) -> type[BaseModel]:
    """A frozen pydantic class with one field for each parameter: types, ranges, choices, defaults.

    Raises:
        CardError: the declaration contradicts itself; `field` is `params.NAME`.
    """
    fields: dict[str, Any] = {}
    for key, param in params.items():
        kind: Any = _KINDS[param.type]
        if param.choices is not None:
            _only(param.type in ("string", "strings"), key, "choices are for string and strings")
            one: Any = Literal[param.choices]
            kind = one if param.type == "string" else Annotated[tuple[one, ...], Field(max_length=MAX_WORDS)]
        if param.minimum is not None or param.maximum is not None:
            _only(param.type in ("number", "integer"), key, "a range is for number and integer")
        extra: dict[str, Any] = {"unit": param.unit} if param.unit else {}
        described = Field(
            default=param.default,
            description=param.description,
            ge=param.minimum,
            le=param.maximum,
            json_schema_extra=extra,
            validate_default=True,
        )
        fields[key] = (kind, described)
    made: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid", frozen=True, title=name), **fields
    )
    try:
        made()
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise CardError(
            f"params.{key}.default: not {allowed(params[key])}", field=f"params.{key}.default"
        ) from error
    return made


def _only(holds: bool, key: str, message: str) -> None:
    if not holds:
        raise CardError(f"params.{key}: {message}", field=f"params.{key}")


def allowed(param: Param) -> str:
    """In words, what a parameter may be.

    >>> allowed(Param(type="number", default=0.5, description="", minimum=0, maximum=1))
    'a number from 0 to 1'
    """
    unit = f" {param.unit}" if param.unit else ""
    if param.choices is not None:
        which = ", ".join(map(repr, param.choices))
        return f"one of {which}" if param.type == "string" else f"a list of any of {which}"
    if param.type in ("number", "integer"):
        words = "a number" if param.type == "number" else "a whole number"
        if param.minimum is not None and param.maximum is not None:
            return f"{words} from {param.minimum:g} to {param.maximum:g}{unit}"
        if param.minimum is not None:
            return f"{words} of at least {param.minimum:g}{unit}"
        return f"{words} of at most {param.maximum:g}{unit}" if param.maximum is not None else words + unit
    return {
        "boolean": "true or false",
        "string": f"text of at most {MAX_TEXT} characters",
        "strings": f"a list of at most {MAX_WORDS} texts",
        "polygon": f"a list of 3 to {MAX_CORNERS} corners [x, y] with x and y from 0 to 1 that enclose an area",
        "line": "two different points [[x, y], [x, y]] with x and y from 0 to 1",
    }[param.type]


def validate_params(
    model: type[BaseModel], params: Mapping[str, Param], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check what a caller gave; defaults fill the rest.

    Returns:
        Every parameter by name. Polygons and lines are tuples of `(x, y)`, strings are tuples.

    Raises:
        ParamsError: unknown, of the wrong type or out of range; `field` names it, the hint says what is allowed.
    """
    try:
        made = model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if key in params:
            raise ParamsError(
                f"{key} must be {allowed(params[key])}; given was {_short(given.get(key))}", field=key
            ) from error
        raise ParamsError(
            f"no parameter named {key!r}", field=key or "params", hint=_known(key, params)
        ) from error
    return {key: getattr(made, key) for key in params}


def _short(value: Any) -> str:
    """As the caller wrote it, in JSON, where it can be; cut."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known(key: str, names: Iterable[str]) -> str:
    names = sorted(names)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names)}" if names else "it takes none"


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of the parameters; `unit` and `description` with each."""
    return model.model_json_schema()


def resolve_stages(stages: Iterable[Settings], values: Mapping[str, Any]) -> tuple[StageSpec, ...]:
    """Put the values of parameters where the card says `$name`, and check every stage's settings.

    Args:
        stages: the card's `stages`, each a mapping of one name to its settings.
        values: what `validate_params` gave.

    Raises:
        CardError: unknown stage, unknown setting, or a value that the setting does not allow; `field` is
            `stages.N.NAME.SETTING`.
        ParamsError: the value came from a parameter; `field` names the parameter.
    """
    return tuple(
        _resolve_stage(index, *next(iter(stage.items())), values) for index, stage in enumerate(stages)
    )


def _resolve_stage(
    index: int, name: str, settings: Mapping[str, Any], values: Mapping[str, Any]
) -> StageSpec:
    where = f"stages.{index}.{name}"
    try:
        kind = stage_type(name)
    except StageNotFoundError as error:
        raise CardError(f"{where}: {error.message}", hint=error.hint, field=where) from error
    borrowed = {key: s[1:] for key, s in settings.items() if isinstance(s, str) and s.startswith("$")}
    filled = {**settings, **{key: values[param] for key, param in borrowed.items()}}
    try:
        return kind, kind.params_type.model_validate(filled)
    except ValidationError as error:
        raise _wrong_setting(where, kind, borrowed, error) from error


def _wrong_setting(
    where: str, kind: type[Stage[Any]], borrowed: Mapping[str, str], error: ValidationError
) -> CardError | ParamsError:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    known = kind.params_type.model_fields
    if key and key not in known:
        return CardError(f"{where}.{key}: no such setting", hint=_known(key, known), field=f"{where}.{key}")
    if key in borrowed or (not key and borrowed):
        param = borrowed[key] if key else next(iter(borrowed.values()))
        return ParamsError(f"{param}: {first['msg']}", field=param)
    field = f"{where}.{key}" if key else where
    return CardError(f"{field}: {first['msg']}", field=field)
