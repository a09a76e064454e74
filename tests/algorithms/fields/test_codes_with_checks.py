"""Numbers with check digits: golden values, and the laws that one changed sign is caught and that repairs never guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.fields import credit_code, iso6346, mrz, vin
from aihub.algorithms.fields.lookalikes import digits, letters, repair

FEW = settings(max_examples=50, deadline=None)
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


# ---- containers ------------------------------------------------------------------------------------------------------

STEM = st.builds(
    "{}{}{}".format,
    st.text(CAPITALS, min_size=3, max_size=3),
    st.sampled_from("UJZ"),
    st.text("0123456789", min_size=6, max_size=6),
)


@pytest.mark.parametrize(
    ("text", "code", "valid"),
    [
        ("CSQU3054383", "CSQU3054383", True),  # the standard's own example
        ("csqu 305438 3", "CSQU3054383", True),
        ("CSQU 305438 [3]", "CSQU3054383", True),  # the check digit stands in a box
        ("C5QU 3O5438 3", "CSQU3054383", True),  # look-alikes, and the check holds
        ("CSQU3054384", "CSQU3054384", False),  # told, but as wrong
        ("MSKU0000001", "MSKU0000001", False),
        ("SJVU 534333 22G1", "SJVU534333", False),  # the check digit was not read; the 2 is not it
    ],
)
def test_containers(text: str, code: str, valid: bool) -> None:
    assert [(one.value, one.valid) for one in iso6346.find_containers(text)] == [(code, valid)]


@pytest.mark.parametrize(
    "text", ["MAX GROSS 30480 KG", "CSQX3054383", "C5QU 3O5438 4", "SHANGHAI 2026 01 31", ""]
)
def test_what_is_no_container(text: str) -> None:
    assert iso6346.find_containers(text) == []


@given(STEM, st.integers(0, 9), st.integers(1, 9))
@FEW
def test_a_container_with_another_digit_is_caught_but_for_ten_and_nought(
    stem: str, place: int, more: int
) -> None:
    code = stem + iso6346.check_digit(stem)
    assert iso6346.holds(code)
    if place < 4:
        return
    changed = stem[:place] + str((int(stem[place]) + more) % 10) + stem[place + 1 :]
    # 10 and 0 are written alike: the standard's known gap
    if {_remainder(stem), _remainder(changed)} != {0, 10}:
        assert not iso6346.holds(changed + code[10])


def _remainder(stem: str) -> int:
    signs = "0123456789" + CAPITALS
    values = (*range(11), *range(12, 22), *range(23, 33), *range(34, 39))
    total: int = sum(values[signs.index(sign)] << place for place, sign in enumerate(stem))
    return total % 11


# ---- vehicles --------------------------------------------------------------------------------------------------------

SIGNS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"


@pytest.mark.parametrize(
    ("text", "code", "valid"),
    [
        ("1M8GDM9AXKP042788", "1M8GDM9AXKP042788", True),
        ("VIN: 1M8GDM9AXKPO42788", "1M8GDM9AXKP042788", True),  # no number has an O
        ("11111111111111111", "11111111111111111", True),  # the well-known test number
        ("5GZCZ43D13S812715", "5GZCZ43D13S812715", True),
        ("1M8GDM9AXKP042789", "1M8GDM9AXKP042789", False),
    ],
)
def test_vehicles(text: str, code: str, valid: bool) -> None:
    assert [(one.value, one.valid) for one in vin.find_vins(text)] == [(code, valid)]


@pytest.mark.parametrize("text", ["ABCDEFGHJKLMNPRST", "12345678901234567890", "MANUFACTURED 2019", ""])
def test_what_is_no_vehicle(text: str) -> None:
    assert vin.find_vins(text) == []


@given(st.text(SIGNS, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from("0123456789"))
@FEW
def test_a_vehicle_with_another_digit_is_caught(text: str, place: int, digit: str) -> None:
    code = text[:8] + vin.check_digit(text) + text[9:]
    if code[place].isdigit() and digit != code[place]:
        assert vin.check_digit(code[:place] + digit + code[place + 1 :]) != code[8] or place == 8


# ---- companies -------------------------------------------------------------------------------------------------------

CODE_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.mark.parametrize(
    ("text", "code", "valid"),
    [
        ("91350100M000100Y43", "91350100M000100Y43", True),  # the standard's own example
        ("统一社会信用代码91350100M000100Y43", "91350100M000100Y43", True),
        ("9135O1OOMOOO1OOY43", "91350100M000100Y43", True),  # no code has an O
        ("91350100M000100Y44", "91350100M000100Y44", False),
    ],
)
def test_companies(text: str, code: str, valid: bool) -> None:
    assert [(one.value, one.valid) for one in credit_code.find_codes(text)] == [(code, valid)]


@given(st.text(CODE_SIGNS, min_size=9, max_size=9), st.integers(0, 17), st.sampled_from(CODE_SIGNS))
@FEW
def test_a_company_with_another_sign_is_caught(text: str, place: int, sign: str) -> None:
    stem = f"91110105{text}"
    code = stem + credit_code.check_digit(stem)
    assert credit_code.holds(code)
    if sign != code[place]:
        assert not credit_code.holds(code[:place] + sign + code[place + 1 :])


# ---- travel documents ------------------------------------------------------------------------------------------------

TD3 = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
TD2 = ("I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<", "D231458907UTO7408122F1204159<<<<<<<6")
TD1 = ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")


@pytest.mark.parametrize(("kind", "zone"), [("TD3", TD3), ("TD2", TD2), ("TD1", TD1)])
def test_the_specimens_of_doc_9303(kind: str, zone: tuple[str, ...]) -> None:
    assert mrz.shape_of(["UTOPIA", *zone]) == (kind, 1)
    parts = {part.name: (part.value, part.valid) for part in mrz.parse(kind, zone)}
    assert parts["surname"] == ("ERIKSSON", None)
    assert parts["given-names"] == ("ANNA MARIA", None)
    assert parts["nationality"] == ("UTO", None)
    assert parts["document-number"] == ("L898902C3" if kind == "TD3" else "D23145890", True)
    assert parts["birth-date"] == ("1974-08-12", True)
    assert parts["expiry-date"] == ("2012-04-15", True)
    assert parts["sex"] == ("F", None)
    assert parts["composite-check"][1] is True
    assert not [part for part in parts.values() if part[1] is False]


def test_what_readers_make_of_fillers_is_mended() -> None:
    read = [
        mrz.plain(text)
        for text in ("P<UT0ERIKSSON《ANNA<MARIA<<<<<<<<<<<", TD3[1].replace("<<<<<", "<<<<<<<"))
    ]
    assert mrz.shape_of(read) == ("TD3", 0)
    parts = {part.name: part for part in mrz.parse("TD3", read)}
    assert parts["issuer"].value == "UTO"
    assert parts["given-names"].value == "ANNA MARIA"
    assert parts["composite-check"].valid is True


def test_look_alikes_of_digits_are_put_right_where_the_checks_then_hold() -> None:
    read = TD3[1].replace("7408122", "74O8I22")
    parts = {part.name: part for part in mrz.parse("TD3", (TD3[0], read))}
    assert (parts["birth-date"].value, parts["birth-date"].valid) == ("1974-08-12", True)


@given(st.integers(0, 43), st.sampled_from("0123456789"))
@FEW
def test_a_changed_digit_of_the_zone_is_told(place: int, digit: str) -> None:
    if not TD3[1][place].isdigit() or TD3[1][place] == digit:
        return
    changed = TD3[1][:place] + digit + TD3[1][place + 1 :]
    parts = mrz.parse("TD3", (TD3[0], changed))
    assert any(part.valid is False for part in parts)


@given(st.lists(st.text("<ABC019 《k", max_size=50), max_size=5))
@FEW
def test_no_lines_stumble(lines: list[str]) -> None:
    plain = [mrz.plain(line) for line in lines]
    found = mrz.shape_of(plain)
    if found:
        assert mrz.parse(found[0], plain[found[1] :])


# ---- look-alikes -----------------------------------------------------------------------------------------------------


@given(st.text(CAPITALS + "0123456789", min_size=4, max_size=8), st.booleans())
@FEW
def test_a_repair_counts_only_where_the_check_holds(text: str, ever: bool) -> None:
    said, right = repair(text, "9" * len(text), lambda _: ever)
    assert right is ever
    assert said == text


def test_each_look_alike_goes_its_own_way() -> None:
    assert digits("OIlZSBGo") == "01125860"
    assert letters("0125|8") == "OIZSIB"
