"""Kinds of call, keywords, duplicates, personal data and urgent words in texts whose answer is known."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.fields.cn_id import holds as valid_id_number
from aihub.algorithms.fields.luhn import holds as valid_card
from aihub.algorithms.language.classify import ClassifyParams, ClassifyText, labelled, learned, model, words
from aihub.algorithms.language.duplicates import DuplicateParams, FindDuplicates
from aihub.algorithms.language.grams import grams, is_han, runs
from aihub.algorithms.language.keywords import FindKeywords, KeywordParams
from aihub.algorithms.language.personal import FindPersonalData, PersonalParams
from aihub.algorithms.language.urgent import FindUrgentWords, UrgentParams, lists
from aihub.testing import FakePredictor
from aihub.types import Field, Fields, Passage

P = FakePredictor()


def rows(stage: Any, text: str) -> list[tuple[str, str]]:
    found: Fields = stage.read(Passage(text), None)
    for one in found.fields:
        if one.span is not None:
            assert 0 <= one.span[0] < one.span[1] <= len(text)
    return [(one.name, one.value) for one in found.fields]


# ---- kinds of call


def test_held_out_calls_are_sorted_as_the_card_says() -> None:
    held = labelled("held-out")
    right = sum(max((s := model().scores(text)), key=lambda name: s[name]) == label for label, text in held)
    assert right / len(held) >= 0.88, "the card says 90 %"


def test_nothing_that_is_held_out_is_learned_from() -> None:
    train, held = ({text for _, text in labelled(part)} for part in ("train", "held-out"))
    assert not train & held
    for part in ("train", "held-out"):
        kinds = Counter(label for label, _ in labelled(part))
        assert set(kinds) == set(words())
        assert len(set(kinds.values())) == 1, "as many of each kind"


def test_learning_is_the_same_every_time() -> None:
    some = labelled("train")[::9]
    first, second = (learned(some, words()) for _ in range(2))
    assert first.scores("停电了 noise") == second.scores("停电了 noise")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_probabilities_are_probabilities(text: str) -> None:
    scores = model().scores(text)
    assert not scores or sum(scores.values()) == pytest.approx(1)
    labels = ClassifyText(ClassifyParams(confidence=0.3), P).read(Passage(text), None)
    assert all(one >= 0.3 for one in labels.confidence)


def test_what_says_nothing_has_no_label() -> None:
    for text in ("", "12345 678", "!!!", "🔥"):
        assert len(ClassifyText(ClassifyParams(), P).read(Passage(text), None)) == 0


def test_width_and_capitals_do_not_matter() -> None:
    assert model().scores("NOISE KTV") == model().scores("noise ktv")


def test_runs_and_grams() -> None:
    assert runs("A区3栋 Don't停") == ["a", "区", "3", "栋", "don't", "停"]
    assert {"停水", "停", "水"} <= set(grams("停水"))
    assert {"<water>", "<water leak>", "wate"} <= set(grams("Water leak")) | {"wate"}
    assert not any(gram.isdigit() for gram in grams("12号 34"))


# ---- keywords


def test_keywords_of_both_languages() -> None:
    stage = FindKeywords(KeywordParams(most=3), P)
    assert ("keyword", "垃圾") in rows(stage, "小区垃圾没人清理,垃圾味道很大")
    assert rows(stage, "The lamp is broken; the street lamp was promised to be repaired")[0][1] == "lamp"
    assert rows(stage, "的了在是 to be or not") == []


def test_keywords_stand_where_they_say() -> None:
    text = "幸福路小区垃圾没人清理 and the lamp"
    found = FindKeywords(KeywordParams(), P).read(Passage(text), None)
    assert found.fields
    for one in found.fields:
        assert one.span is not None
        assert text[one.span[0] : one.span[1]].lower() == one.value
    assert [one.confidence for one in found.fields] == sorted(
        (f.confidence for f in found.fields), reverse=True
    )


def test_what_keywords_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "aihub[language]" in FindKeywords.unavailable()


# ---- duplicates


def duplicates(*texts: str, **params: Any) -> list[list[str]]:
    stage = FindDuplicates(DuplicateParams(**params), P)
    return [[f.value for f in stage.read(Passage(text, seq), None).fields] for seq, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["幸福路12号水管爆了,水流到马路上", "幸福路12号门口水管爆裂,水都流到马路上了"], [[], ["0"]]),
        (["A lamp is broken at 5 Harbour Road", "Broken lamps at 5 Harbour Road"], [[], ["0"]]),
        (["和平路8号停电了", "和平路9号停电了"], [[], []]),
        (["停电了", "停车位被占", "no water"], [[], [], []]),
        (["停电了", "停电了", "停电了"], [[], ["0"], ["0", "1"]]),
        (["", "", "!!"], [[], [], []]),
    ],
    ids=[
        "the same in other words",
        "English",
        "another house",
        "other matters",
        "thrice",
        "nothing is like nothing",
    ],
)
def test_duplicates(texts: list[str], found: list[list[str]]) -> None:
    assert duplicates(*texts) == found


@settings(max_examples=30)
@given(st.lists(st.text("停电水路abc 12", max_size=12), max_size=6))
def test_each_text_is_held_against_those_before_it_alone(texts: list[str]) -> None:
    found = duplicates(*texts, most=100)
    assert all(int(value) < seq for seq, row in enumerate(found) for value in row)
    for seq, text in enumerate(texts):
        same = [str(i) for i in range(seq) if texts[i] == text and runs(text)]
        assert set(same) <= set(found[seq]), "the same text again is a duplicate"
    stricter = duplicates(*texts, most=100, similarity=0.9)
    assert all(set(a) <= set(b) for a, b in zip(stricter, found, strict=True))


def test_old_texts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.algorithms.language.duplicates.REMEMBERED", 2)
    assert duplicates("一楼停水", "二楼停电", "三楼漏水", "一楼停水", "三楼漏水") == [[], [], [], [], ["2"]]


# ---- personal data


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("电话13812345678", [("phone", "13812345678")]),
        ("+86 138 1234 5678", [("phone", "13812345678")]),
        ("138-1234-5678", [("phone", "13812345678")]),
        ("座机010-62345678转8", [("phone", "010-62345678")]),
        ("400-820-8820", [("phone", "4008208820")]),
        ("call +44 20 7946 0958", [("phone", "+442079460958")]),
        ("订单202601051234567", []),
        ("12345678901234567890123", []),
        ("身份证11010519491231002X", [("id-number", "11010519491231002X")]),
        ("11010519491331002X", [("id-number", "11010519491331002X")]),
        ("卡号6222 0212 3456 7890 128", [("bank-card", "6222021234567890128")]),
        ("4111-1111-1111-1111", [("bank-card", "4111111111111111")]),
        ("4111111111111112", []),
        ("邮箱Ann.Lee+x@Example.co.uk。", [("email", "ann.lee+x@example.co.uk")]),
        ("a@b", []),
        ("车牌沪A·12345堵住门口", [("plate", "沪A12345")]),
        ("新能源京AD12345", [("plate", "京AD12345")]),
        ("2026-01-05 14:30,100元", []),
    ],
)
def test_personal_data(text: str, found: list[tuple[str, str]]) -> None:
    assert rows(FindPersonalData(PersonalParams(), P), text) == found


def test_check_digits_decide() -> None:
    found = FindPersonalData(PersonalParams(), P).read(Passage("11010519491231002X 110105194912310021"), None)
    assert [one.valid for one in found.fields] == [True, False]
    assert [*rows(FindPersonalData(PersonalParams(kinds=("phone",)), P), "a@b.com 13812345678")] == [
        ("phone", "13812345678")
    ]


@settings(max_examples=60)
@given(st.text("0123456789", min_size=12, max_size=18))
def test_every_wrong_digit_of_a_card_shows(digits: str) -> None:
    total = next(d for d in "0123456789" if valid_card(digits + d) or len(set(digits)) == 1)
    card = digits + total
    if valid_card(card):
        for place in range(len(card)):
            other = str((int(card[place]) + 1) % 10)
            changed = card[:place] + other + card[place + 1 :]
            assert not valid_card(changed)


@settings(max_examples=60)
@given(st.dates(min_value=date(1900, 1, 1)), st.integers(0, 999), st.integers(0, 16))
def test_every_wrong_digit_of_an_identity_number_shows(born: Any, order: int, place: int) -> None:
    body = f"110105{born:%Y%m%d}{order:03}".replace(" ", "0").rjust(17, "1")[-17:]
    right = [body + check for check in "0123456789X" if valid_id_number(body + check)]
    assert len(right) == 1
    number = right[0]
    other = str((int(number[place]) + 1) % 10)
    assert not valid_id_number(number[:place] + other + number[place + 1 :])


@settings(max_examples=80)
@given(st.text("1389 -+@.aX电话沪A卡号", max_size=60))
def test_spans_never_overlap_and_hold_what_was_read(text: str) -> None:
    found = FindPersonalData(PersonalParams(confidence=0), P).read(Passage(text), None)
    spans = [one.span or (0, 0) for one in found.fields]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    for one, (start, end) in zip(found.fields, spans, strict=True):
        digits = re.sub(r"\D", "", text[start:end])
        if one.name in ("bank-card", "id-number"):
            assert digits[:13] == re.sub(r"\D", "", one.value)[:13]


# ---- urgent words


@pytest.mark.parametrize(
    ("text", "level", "kind"),
    [
        ("楼上着火了,有人被困", "critical", "fire"),
        ("我妈妈昏迷了,没有呼吸", "critical", "life"),
        ("Gas leak in the kitchen", "critical", "gas"),
        ("my father is not breathing", "critical", "life"),
        ("有人持刀打架", "critical", "violence"),
        ("老人摔倒了", "high", "vulnerable"),
        ("It is urgent, please come right now", "high", "now"),
        ("停水两天了", None, "utility"),
        ("没有人受伤,就是路灯坏了", None, None),
        ("There was no fire, only a drill", None, None),
        ("请问社保卡怎么补办", None, None),
        ("The firemen's ball is on Friday", None, None),
        ("", None, None),
    ],
)
def test_urgency(text: str, level: str | None, kind: str | None) -> None:
    found = rows(FindUrgentWords(UrgentParams(), P), text)
    assert dict(found).get("urgency") == level
    assert kind is None or kind in dict(found)
    assert kind is not None or not found


def test_danger_to_life_weighs_most() -> None:
    weights = {kind: weight for _, kind, weight in lists().kinds}
    assert weights["life"] == max(weights.values()) == 1.0
    assert all(0 < weight <= 1 for weight in weights.values())


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["着火", "没有", "停电", "fire", "no", ",", "路灯", " "]), max_size=8).map(
        "".join
    )
)
def test_more_confidence_never_gives_more(text: str) -> None:
    counts = [
        len(rows(FindUrgentWords(UrgentParams(confidence=step), P), text)) for step in (0, 0.3, 0.6, 0.9)
    ]
    assert counts == sorted(counts, reverse=True)


def test_fields_are_told_apart_by_their_place() -> None:
    text = "着火了,又着火了"
    found = FindUrgentWords(UrgentParams(), P).read(Passage(text), None).fields
    assert [one.span for one in found if one.name == "fire"] == [(0, 2), (5, 7)]
    assert Field("urgency", "critical", 1.0) in found
    assert is_han(text)
