"""How well fields are read: drawn documents with values by chance, and characters of the real pictures.

    python -m benchmarks.document_fields                  # what the reports quote: seeds that nothing was chosen on
    python -m benchmarks.document_fields --tune           # other seeds, to look at while changing things

Each document has values, slant, noise and blur of its own. A field counts where it is exactly what was drawn. `false-valid`
are wrong values whose check held: the figure that should be nought.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np

from aihub.algorithms.examples import EPOCH
from aihub.algorithms.fields import cn_id, credit_code, iso6346, luhn, mrz, vin
from aihub.algorithms.fields.money import in_capitals
from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.bench.accuracy.text import REAL, media_pages, misread
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.scenes import gauges, markings, papers
from aihub.scenes.lettering import seen
from aihub.types import Fields, Findings, Frame, Image, Labels, Predictor

MEASURED, TUNED = 1000, 0
"""First seed of each set."""
WITHIN_M = 0.01
"""How near a level counts as read."""
Chance = np.random.Generator


@dataclass(frozen=True, slots=True)
class Document:
    """A drawn document and what must be read from it."""

    algorithm: str
    image: Image
    truth: dict[str, str]
    zone: tuple[tuple[float, float], ...] = ()


def _digits(rng: Chance, count: int) -> str:
    return "".join(map(str, rng.integers(0, 10, count).tolist()))


def _one(rng: Chance, choices: str | tuple[str, ...]) -> str:
    return str(choices[int(rng.integers(len(choices)))])


def _date(rng: Chance, first: int = 1950, last: int = 2020) -> dt.date:
    return dt.date(int(rng.integers(first, last)), int(rng.integers(1, 13)), int(rng.integers(1, 29)))


def _person(rng: Chance) -> str:
    given = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文志玉兰"
    return _one(rng, "王李张刘陈杨黄赵周吴徐孙马朱胡郭") + "".join(
        _one(rng, given) for _ in range(rng.integers(1, 3))
    )


def _place(rng: Chance) -> str:
    city = _one(rng, ("北京市朝阳区", "上海市浦东新区", "广州市天河区", "成都市武侯区", "杭州市西湖区"))
    road = _one(rng, ("建设路", "人民路", "解放路", "中山路", "和平路", "文化路"))
    return f"{city}{road}{rng.integers(1, 300)}号{rng.integers(1, 30)}号楼{rng.integers(101, 2000)}室"


def _company(rng: Chance) -> str:
    city = _one(rng, ("北京", "上海", "广州", "成都", "杭州"))
    return f"{city}{_one(rng, ('样本', '示例', '虚构', '演示'))}{_one(rng, ('科技', '贸易', '物流', '餐饮'))}有限公司"


def _code(rng: Chance) -> str:
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    stem = "91" + _digits(rng, 6) + "".join(_one(rng, signs) for _ in range(9))
    return stem + credit_code.check_digit(stem)


def _photo(rng: Chance, paper: Image) -> Image:
    """As a hand-held camera would take it."""
    tilt, noise, blur = rng.uniform(0, 0.04), rng.uniform(2, 10), rng.uniform(0, 0.9)
    return seen(paper, int(rng.integers(1 << 30)), float(tilt), float(noise), float(blur))


def identity(rng: Chance) -> Document:
    born, serial = _date(rng), int(rng.integers(1, 1000))
    stem = f"{_one(rng, ('110105', '310115', '440106', '510107'))}{born:%Y%m%d}{serial:03d}"
    truth = {
        "name": _person(rng),
        "sex": "男" if serial % 2 else "女",
        "birth-date": born.isoformat(),
        "address": _place(rng),
        "id-number": stem + cn_id.check_digit(stem),
    }
    drawn = papers.identity_card(
        {
            "name": truth["name"],
            "sex": truth["sex"],
            "birth": f"{born.year}年{born.month}月{born.day}日",
            "address": truth["address"],
            "number": truth["id-number"],
        }
    )
    return Document("id-card-fields", _photo(rng, drawn), truth)


def licence(rng: Chance) -> Document:
    since = _date(rng, 1995, 2025)
    truth = {
        "credit-code": _code(rng),
        "name": _company(rng),
        "legal-person": _person(rng),
        "established": since.isoformat(),
    }
    values = {
        **papers.LICENCE,
        "code": truth["credit-code"],
        "name": truth["name"],
        "person": truth["legal-person"],
        "date": f"{since:%Y年%m月%d日}",
    }
    return Document("business-licence-fields", _photo(rng, papers.business_licence(values)), truth)


def invoice(rng: Chance) -> Document:
    day, amount = _date(rng, 2015, 2026), Decimal(int(rng.integers(1000, 9_000_000))) / 100
    tax = (amount * Decimal("0.13")).quantize(Decimal("0.01"))
    truth = {
        "number": _digits(rng, 20),
        "date": day.isoformat(),
        "buyer-tax-number": _code(rng),
        "seller-tax-number": _code(rng),
        "amount": f"{amount:.2f}",
        "tax": f"{tax:.2f}",
        "total": f"{amount + tax:.2f}",
    }
    values = {
        **{key: truth[key] for key in ("number", "amount", "tax", "total")},
        "date": f"{day:%Y年%m月%d日}",
        "buyer": _company(rng),
        "buyer-code": truth["buyer-tax-number"],
        "seller": _company(rng),
        "seller-code": truth["seller-tax-number"],
        "capitals": in_capitals(amount + tax),
    }
    return Document("invoice-fields", _photo(rng, papers.invoice(values)), truth)


def card(rng: Chance) -> Document:
    stem = _one(rng, ("62", "4", "52")) + _digits(rng, 17)
    stem = stem[: 18 if stem.startswith("62") else 15]
    until = f"{rng.integers(1, 13):02d}/{rng.integers(26, 35)}"
    truth = {"card-number": stem + luhn.check_digit(stem), "valid-until": f"20{until[3:]}-{until[:2]}"}
    drawn = papers.bank_card({"number": truth["card-number"], "until": until, "name": "LI SHILI"})
    return Document("bank-card-number", _photo(rng, drawn), truth)


def passport(rng: Chance) -> Document:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    surname = "".join(_one(rng, letters) for _ in range(rng.integers(3, 9)))
    given = "".join(_one(rng, letters) for _ in range(rng.integers(3, 9)))
    number, born, until = _one(rng, "EGL") + _digits(rng, 8), _date(rng, 1950, 2015), _date(rng, 2026, 2036)
    front = f"{number}{mrz.check_digit(number)}UTO{born:%y%m%d}{mrz.check_digit(f'{born:%y%m%d}')}"
    front += f"F{until:%y%m%d}{mrz.check_digit(f'{until:%y%m%d}')}" + "<" * 14 + "0"
    second = front + mrz.check_digit(front[:10] + front[13:20] + front[21:43])
    truth = {
        "surname": surname,
        "given-names": given,
        "document-number": number,
        "birth-date": born.isoformat(),
        "expiry-date": until.isoformat(),
    }
    drawn = papers.travel_page((f"P<UTO{surname}<<{given}".ljust(44, "<"), second))
    return Document("passport-mrz", _photo(rng, drawn), truth)


def container(rng: Chance) -> Document:
    stem = "".join(_one(rng, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(3)) + "U" + _digits(rng, 6)
    truth = {"container-number": stem + iso6346.check_digit(stem)}
    drawn = markings.container(truth["container-number"], upright=bool(rng.integers(2)))
    return Document("container-number", _photo(rng, drawn), truth)


def vehicle(rng: Chance) -> Document:
    signs = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
    stem = "".join(_one(rng, signs) for _ in range(8)) + "0" + "".join(_one(rng, signs) for _ in range(4))
    stem += _digits(rng, 4)
    truth = {"vin": f"{stem[:8]}{vin.check_digit(stem)}{stem[9:]}"}
    return Document("vehicle-vin", _photo(rng, markings.vehicle_plate(truth["vin"])), truth)


def goods(rng: Chance) -> Document:
    made, until = _date(rng, 2023, 2026), _date(rng, 2025, 2029)
    lines = (
        (f"生产日期：{made:%Y年%m月%d日}", f"有效期至：{until:%Y年%m月%d日}"),
        (f"MFG {made:%d %b %Y}".upper(), f"BEST BEFORE {until:%d %b %Y}".upper()),
        (f"生产日期 {made:%Y/%m/%d}", f"保质期至 {until:%Y/%m/%d}"),
        (f"PROD {made:%d.%m.%Y}", f"EXP {until:%d.%m.%Y}"),
    )[int(rng.integers(4))]
    truth = {"production-date": made.isoformat(), "expiry-date": until.isoformat()}
    return Document("date-and-expiry", _photo(rng, markings.package(("SPECIMEN", *lines))), truth)


def meter(rng: Chance) -> Document:
    reading = f"{_digits(rng, 5)}.{_digits(rng, 1)}"
    return Document("meter-digits", _photo(rng, markings.meter(reading)), {"reading": reading})


def table(rng: Chance) -> Document:
    rows = [("品名", "数量", "单价")]
    rows += [
        (name, str(rng.integers(1, 100)), f"{rng.integers(100, 9999) / 100:.2f}")
        for name in ("苹果", "香蕉", "葡萄")
    ]
    truth = {f"r{r}c{c}": text for r, row in enumerate(rows, 1) for c, text in enumerate(row, 1)}
    return Document("table-text", _photo(rng, papers.table(tuple(rows))), truth)


def gauge(rng: Chance) -> Document:
    level = float(rng.uniform(0.12, 0.68))
    drawn = gauges.gauge(level, float(rng.uniform(0, 100)))
    zone = ((0.35, 0.0), (0.7, 0.0), (0.7, 1.0), (0.35, 1.0))
    return Document("water-gauge-reading", drawn, {"level": f"{level:.3f}"}, zone)


KINDS: tuple[Callable[[Chance], Document], ...] = (
    identity, licence, invoice, card, passport, container, vehicle, goods, meter, table, gauge,
)  # fmt: skip


def documents(first: int, each: int) -> Iterator[Document]:
    """So many of every kind; the same for the same first seed."""
    for number, make in enumerate(KINDS):
        for index in range(each):
            yield make(np.random.default_rng([first + index, number]))


def _read(registry: Registry, engine: Predictor, document: Document) -> Fields:
    frame = Frame(document.image, captured_at=EPOCH)
    params = {"zone": document.zone} if document.zone else {}
    result = infer(registry.get(document.algorithm), [frame], params, engine)[0]
    found = result.found if isinstance(result, Findings) else result
    assert isinstance(found, Fields)
    return found


def _same(name: str, value: str, true: str) -> bool:
    return abs(float(value) - float(true)) <= WITHIN_M + 1e-9 if name == "level" else value == true


def measure_fields(registry: Registry, engine: Predictor, first: int, each: int) -> None:
    """One line a kind: fields that are exact, documents that are exact throughout, wrong values that passed their check."""
    right, asked, whole, false_valid, spent = (Counter[str]() for _ in range(5))
    for document in documents(first, each):
        begun = time.perf_counter()
        found = _read(registry, engine, document)
        name = document.algorithm
        spent[name] += round(1000 * (time.perf_counter() - begun))
        values = {one.name: one for one in found.fields}
        hits = [k in values and _same(k, values[k].value, true) for k, true in document.truth.items()]
        right[name] += sum(hits)
        asked[name] += len(hits)
        whole[name] += all(hits)
        for (key, true), hit in zip(document.truth.items(), hits, strict=True):
            if not hit:
                read = values.get(key)
                false_valid[name] += bool(read and read.valid)
                sys.stdout.write(f"  {name} {key}: {true!r} read as {read.value if read else None!r}\n")
    sys.stdout.write(f"{'algorithm':28}{'fields':>10}{'documents':>12}{'false-valid':>13}{'s each':>8}\n")
    for name in asked:
        each_s = spent[name] / each / 1000
        fields, whole_of = f"{right[name]}/{asked[name]}", f"{whole[name]}/{each}"
        sys.stdout.write(f"{name:28}{fields:>10}{whole_of:>12}{false_valid[name]:>13}{each_s:8.2f}\n")
    total, count = sum(asked.values()), each * len(KINDS)
    sys.stdout.write(
        f"all: {sum(right.values())}/{total} fields ({sum(right.values()) / total:.1%}), "
        f"{sum(whole.values())}/{count} documents, {sum(false_valid.values())} false-valid\n"
    )


def measure_characters(engine: Predictor, media: Path) -> None:
    """Character error rate on the real pictures; spaces do not count, lines may come in any order."""
    wrong = total = 0
    for one in misread(engine, media_pages(media)):
        wrong, total = wrong + one.wrong, total + one.total
        sys.stdout.write(f"  {one.name}: {one.wrong} of {one.total} characters\n")
    sys.stdout.write(f"character error rate on real pictures: {wrong}/{total} = {wrong / total:.2%}\n")


def measure_turns(registry: Registry, engine: Predictor, first: int, media: str) -> None:
    """How many pictures, turned by four quarters, are told how they lie: drawn documents, and the real pictures."""
    algorithm = registry.get("document-orientation")
    drawn = [make(np.random.default_rng([first, number])).image for number, make in enumerate(KINDS[:5])]
    paths = [Path(media) / "images/ocr" / name for name in REAL] if media else []
    real = [np.asarray(image, np.uint8) for path in paths if (image := cv2.imread(str(path))) is not None]
    for name, images in (("drawn", drawn), ("real", real)):
        right = 0
        for image in images:
            frames = [Frame(np.ascontiguousarray(np.rot90(image, quarter))) for quarter in range(4)]
            told = infer(algorithm, frames, {}, engine)
            # rot90 turns against the clock: one quarter is put right by 90 degrees clockwise
            turns = [found.measures.get("turn_deg") if isinstance(found, Labels) else None for found in told]
            right += sum(turn == 90.0 * quarter for quarter, turn in enumerate(turns))
        sys.stdout.write(f"which way up, {name}: {right}/{4 * len(images)}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=5, help="documents of a kind")
    parser.add_argument("--tune", action="store_true", help="the seeds to look at while changing things")
    asked = parser.parse_args()
    media, mirror = os.environ.get("AIHUB_TEST_MEDIA", ""), os.environ.get("AIHUB_MODEL_MIRROR", "")
    with tempfile.TemporaryDirectory() as home:
        store = ModelStore.from_folder(data_folder("models"), cache=Path(home) / "cache", mirror=mirror)
        with Engine(store, profiles=Path(home) / "profiles") as engine:
            measure_fields(Registry(engine), engine, TUNED if asked.tune else MEASURED, asked.each)
            measure_turns(Registry(engine), engine, TUNED if asked.tune else MEASURED, media)
            if media:
                measure_characters(engine, Path(media))


if __name__ == "__main__":
    main()
