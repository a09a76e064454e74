"""What an example must give: the words of `expect` in a card, and the watch that holds results against them.

expect:
  labels: {person: ">=2", dog: 0}     rows of that label (fields of that name), the most on any frame
  texts: ["NO PARKING"]               each occurs in a line that was read, or in what was said
  codes: ["https://example.org"]      each is the whole content of a code that was read
  fields: {id-number: "110101..."}    a field of that name was read with that value
  valid: {id-number: false}           a field of that name was read whose check says so
  attributes: {plate: "A12345"}       something found has that attribute
  fault: true                         a picture fault was seen (false: on no frame)
  measures: {count: ">=2"}            figure of a rule or of a verdict, the highest on any frame
  observations: ">=1"                 different alarm conditions that held on some frame
  events: 1                           alarms after `min_duration` and `close_after` of the card's event
  none: true                          no alarm condition held on any frame
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from aihub.errors import CardError
from aihub.types import (
    AnyResult,
    Codes,
    Detections,
    EventSpec,
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

_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}
_FORM = re.compile(r"^(>=|<=|>|<|==)?\s*(-?\d+(?:\.\d+)?)$")


class Bound(BaseModel):
    """A comparison such as `>=2`; a bare number means equality."""

    model_config = ConfigDict(frozen=True)

    sign: str
    number: float

    def holds(self, value: float) -> bool:
        """Whether a value passes."""
        return bool(_COMPARE[self.sign](value, self.number))

    def __str__(self) -> str:
        return f"{self.sign} {self.number:g}"


def _bound(value: Any) -> Any:
    match = _FORM.match(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise ValueError('a comparison is a number or text such as ">=2"')
    return {"sign": match[1] or "==", "number": float(match[2])}


Comparison = Annotated[Bound, BeforeValidator(_bound)]


class Expect(BaseModel):
    """The checked form of an example's `expect`. At least one word."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: dict[str, Comparison] = {}
    texts: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    fields: dict[str, str] = {}
    valid: dict[str, bool] = {}
    attributes: dict[str, str] = {}
    fault: bool | None = None
    measures: dict[str, Comparison] = {}
    observations: Comparison | None = None
    events: Comparison | None = None
    none: bool | None = None

    def shows_presence(self) -> bool:
        """Whether it proves that the thing is found, not only that there is no alarm where there should be none."""
        if self.none:
            return False
        bounds = [*self.labels.values(), *self.measures.values(), self.observations, self.events]
        found = any(bound is not None and not bound.holds(0) for bound in bounds)
        read = self.texts or self.codes or self.fields or self.valid or self.attributes
        return found or bool(read or self.fault)


def read_expect(expect: dict[str, Any]) -> Expect:
    """Check the `expect` of a card.

    Raises:
        CardError: an unknown word or a comparison that cannot be read; `field` names it.
    """
    if not expect:
        raise CardError("expect is empty: an example that expects nothing proves nothing", field="expect")
    try:
        return Expect.model_validate(expect)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["expect", *map(str, first["loc"])])
        raise CardError(f"{field}: {first['msg']}", field=field) from error


class Watch:
    """Collects what an algorithm gives on the frames of an example, then says where that is not what was expected."""

    def __init__(self, event: EventSpec | None) -> None:
        self._event = event
        self.frames = 0
        self._listened = False
        self.labels: Counter[str] = Counter()
        self.texts: list[str] = []
        self.codes: set[str] = set()
        self.fields: set[tuple[str, Any]] = set()
        self.valid: set[tuple[str, Any]] = set()
        self.attributes: set[tuple[str, Any]] = set()
        self.faults = 0
        self.measures: dict[str, float] = {}
        self.keys: set[str] = set()
        self.events = 0
        self._since: dict[str, tuple[float, float, bool]] = {}

    def see(self, result: AnyResult, moment: float) -> None:
        """Take in the result of one frame; `moment` in seconds."""
        self.frames += 1
        self._listened = isinstance(result, SoundEvents | Transcript | Recording)
        found = result
        if isinstance(result, Findings):
            found = result.found
            self._measure(result.measures)
            for key in (observation.key for observation in result.observations):
                self.keys.add(key)
                self._live(key, moment)
        self._look(found)

    def _look(self, found: AnyResult) -> None:
        if isinstance(found, Detections | SoundEvents | Labels | Points):
            names = found.names() if isinstance(found, Detections) else found.label
            for label, count in Counter(names).items():
                self.labels[label] = max(self.labels[label], count)
        if isinstance(found, Detections):
            for row in found.attributes or ():
                self.attributes.update((name, str(value)) for name, value in row.items())
        elif isinstance(found, Texts):
            self.texts.extend(found.text)
        elif isinstance(found, Transcript):
            self.texts.extend(segment.text for segment in found.segments)
            self._measure({"segments": float(len(found))})
        elif isinstance(found, Codes):
            self.codes.update(found.text)
        elif isinstance(found, Fields):
            for name, count in Counter(one.name for one in found.fields).items():
                self.labels[name] = max(self.labels[name], count)
            self.fields.update((one.name, one.value) for one in found.fields)
            self.valid.update((one.name, one.valid) for one in found.fields)
        elif isinstance(found, Mask):
            shares = zip(found.labels, found.shares().tolist(), strict=True)
            self._measure({f"{name}_share": share for name, share in shares})
        elif isinstance(found, Quality | Labels | Picture | Recording | Points | SoundEvents):
            self.faults += isinstance(found, Quality) and found.fault
            self._measure(found.measures)

    def _measure(self, measures: dict[str, float]) -> None:
        for name, value in measures.items():
            self.measures[name] = max(self.measures.get(name, value), value)

    def _live(self, key: str, moment: float) -> None:
        """The life of an alarm in short: it opens once it held for `min_duration`, a gap of `close_after` ends it."""
        if self._event is None:
            return
        begun, seen, opened = self._since.get(key, (moment, moment, False))
        if moment - seen > self._event.close_after:
            begun, opened = moment, False
        if not opened and moment - begun >= self._event.min_duration:
            self.events += 1
            opened = True
        self._since[key] = (begun, moment, opened)

    def misses(self, expect: Expect) -> list[str]:
        """Every expectation that does not hold, in words; none when all is well."""
        counts: list[tuple[str, Bound | None, float | None]] = [
            *((f"labels.{name}", bound, self.labels[name]) for name, bound in expect.labels.items()),
            *(
                (f"measures.{name}", bound, self.measures.get(name))
                for name, bound in expect.measures.items()
            ),
            ("observations", expect.observations, len(self.keys)),
            ("events", expect.events, self.events),
        ]
        missed = [
            f"{name} is {'not given' if value is None else f'{value:g}'}, expected {bound}"
            for name, bound, value in counts
            if bound is not None and (value is None or not bound.holds(value))
        ]
        missed += [
            f"no line has {text!r}" for text in expect.texts if not any(text in line for line in self.texts)
        ]
        missed += [f"no code is {text!r}" for text in expect.codes if text not in self.codes]
        missed += _unread("fields", expect.fields, self.fields)
        missed += _unread("valid", expect.valid, self.valid)
        missed += _unread("attributes", expect.attributes, self.attributes)
        if expect.fault is not None and expect.fault != bool(self.faults):
            missed.append(f"fault on {self.faults} of {self.frames} frames, expected {expect.fault}")
        if expect.none is not None and expect.none != (not self.keys):
            missed.append(
                f"alarm conditions {sorted(self.keys)[:5]}, expected {'none' if expect.none else 'some'}"
            )
        return missed

    def summary(self) -> str:
        """What was seen, in a line."""
        one = "1 recording" if self._listened else "1 picture"
        parts = [f"{self.frames} frames" if self.frames != 1 else one]
        parts += [f"{label} {count}" for label, count in self.labels.most_common(5)]
        parts += [f"{len(self.texts)} lines of text"] if self.texts else []
        parts += [f"{len(self.codes)} codes"] if self.codes else []
        parts += [f"{name} {value}" for name, value in sorted(self.fields | self.attributes)[:5]]
        parts += [f"{self.faults} faults"] if self.faults else []
        parts += [f"{len(self.keys)} conditions", f"{self.events} events"] if self.keys else []
        return ", ".join(parts)


def _unread(word: str, wanted: Mapping[str, Any], seen: set[tuple[str, Any]]) -> list[str]:
    return [f"{word}.{name} is not {value!r}" for name, value in wanted.items() if (name, value) not in seen]
