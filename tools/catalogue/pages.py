"""The pages, made of cards and facts alone: the same input gives the same pages, so that stale ones are seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.params import allowed
from aihub.algorithms.scenarios import Scenario
from aihub.types import AlgorithmCard, InputKind

Facts = Mapping[str, Any]

TITLES = {
    "emergency": "Emergency and fire 应急消防",
    "public-places": "Public places and communities 治安社区",
    "faces": "Faces 人像",
    "traffic": "Traffic 交通",
    "city-management": "City management 城管",
    "works": "Works and kitchens 住建安监",
    "water": "Water and environment 水利生态",
    "documents": "Documents and codes 证照识别",
    "picture-quality": "Picture quality 视频质量诊断",
    "picture-help": "Picture help 图像增强",
    "speech": "Speech and sound 语音",
    "language": "Text and hotline 12345 热线",
    "forecast": "Forecast and sensors 预测",
}
HEAD = "<!-- Made by `make docs` out of the cards; change those. -->\n\n"


def pages(
    algorithms: Iterable[Algorithm], facts: Mapping[str, Facts], scenarios: Iterable[Scenario]
) -> dict[str, str]:
    """Every page by the name of its file."""
    by_domain: dict[str, list[Algorithm]] = {}
    for algorithm in algorithms:
        by_domain.setdefault(algorithm.card.domain, []).append(algorithm)
    order = [name for name in TITLES if name in by_domain] + sorted(by_domain.keys() - TITLES.keys())
    made = {f"{name}.md": _domain(name, by_domain[name], facts) for name in order}
    made["README.md"] = _index(order, by_domain, facts)
    made["scenarios.md"] = _scenarios(scenarios)
    return made


def _index(order: list[str], by_domain: Mapping[str, list[Algorithm]], facts: Mapping[str, Facts]) -> str:
    seen = list(facts.values())
    ready = sum(one["state"] == "ready" for one in seen)
    real = sum(one["evidence"] == "real" for one in seen)
    drawn = sum(one["evidence"] == "synthetic" for one in seen)
    parts = [
        HEAD,
        "# The catalogue\n\n",
        (
            f"{len(seen)} algorithms; with all media and weights at hand {ready} are ready, {real} of them shown on real pictures, clips or "
            f"recordings and {drawn} on drawn ones with known truth. `aihub algorithms check --all` proves it again on your machine; "
            "[scenarios](scenarios.md) are bundles for one application system each.\n\n"
            "Evidence *real* means that the card's example finds what it is for on a real picture, clip or recording; *synthetic* that it does on "
            "one that the project drew or made. Where the real scene is of another kind than the algorithm is for (cars at a kerb for a bus lane), its limits say so. Milliseconds are the median an item on two cores of the machine that made these pages: they rank "
            "algorithms and say nothing of another machine.\n"
        ),
    ]
    for name in order:
        parts.append(f"\n## [{TITLES.get(name, name)}]({name}.md)\n\n")
        parts.append("| algorithm | what it is | evidence | ms | needs |\n|---|---|---|---|---|\n")
        for algorithm in by_domain[name]:
            card, fact = algorithm.card, facts[algorithm.card.id]
            evidence = fact["evidence"] or fact["state"]
            cost = f"{fact['ms']:g}" if "ms" in fact else "-"
            needs = ", ".join(f"`{model}`" for model in fact["models"]) or "-"
            parts.append(
                f"| [`{card.id}`]({name}.md#{card.id}) | {card.title['en']} {card.title['zh']} | {evidence} | {cost} | {needs} |\n"
            )
    return "".join(parts)


def _domain(name: str, algorithms: list[Algorithm], facts: Mapping[str, Facts]) -> str:
    parts = [HEAD, f"# {TITLES.get(name, name)}\n\n[Catalogue](README.md)\n"]
    parts += [_algorithm(algorithm, facts[algorithm.card.id]) for algorithm in algorithms]
    return "".join(parts)


def _algorithm(algorithm: Algorithm, fact: Facts) -> str:
    card = algorithm.card
    parts = [
        f'\n<a id="{card.id}"></a>\n\n## {card.title["en"]} {card.title["zh"]}\n\n`{card.id}`, version {card.version}. '
    ]
    parts.append(f"{card.summary}\n\n")
    if fact["picture"]:
        parts.append(f"![{card.title['en']}](pictures/{card.id}.jpg)\n\n*{_caption(fact)}*\n\n")
    elif fact.get("gave"):
        parts.append(
            f"On `{fact['example']}` ({fact['example_evidence']}) it gave:\n\n```json\n{fact['gave']}\n```\n\n"
        )
    parts.append(_table(card, fact))
    if card.params:
        parts.append("\n| parameter | default | allowed | meaning |\n|---|---|---|---|\n")
        for key, param in card.params.items():
            parts.append(
                f"| `{key}` | {_cell(param.default)} | {_cell(allowed(param))} | {_cell(param.description)} |\n"
            )
    if card.figures:
        parts.append("\n| measured | | on | command |\n|---|---|---|---|\n")
        parts += [
            f"| {_cell(one.what)} | {_cell(one.value)} | {_cell(one.data)} | `{one.command}` |\n"
            for one in card.figures
        ]
    parts.append(
        f"\n**For.** {card.intended_use.strip()}\n\n**Limits.** {card.limits.strip()}\n\n{_try(card)}"
    )
    return "".join(parts)


def _caption(fact: Facts) -> str:
    if fact["outlined"]:
        return f"{fact['example']}: {fact['example_evidence']} evidence; what was found, without the picture, whose terms keep it from being shown here"
    return f"{fact['example']}: {fact['example_evidence']} evidence; {fact['credit']}"


def _table(card: AlgorithmCard, fact: Facts) -> str:
    rows = [
        ("takes", ", ".join(card.input) + (", each held against those before it" if card.sequence else ""))
    ]
    rows.append(("state", fact["state"] + (f": {fact['reason']}" if fact["reason"] else "")))
    rows.append(("evidence", fact["evidence"] or "none here"))
    rows.append(("stages", " → ".join(next(iter(stage)) for stage in card.stages)))
    models = ", ".join(f"`{name}` ({size:g} MB)" for name, size in fact["models"].items())
    rows.append(("needs", models or "no weights"))
    rows += [("to be brought", words) for words in fact["wanted"]]
    if "ms" in fact:
        rows.append(("cost", f"{fact['ms']:g} ms an item"))
    if card.event is not None:
        event = card.event
        held = f", once it held for {event.min_duration:g} s" if event.min_duration else ""
        rows.append(
            ("event", f"`{event.type}`, {event.severity.value}{held}; over after {event.close_after:g} s")
        )
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {_cell(text)} |\n" for name, text in rows)


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return " ".join(text.split()).replace("|", "\\|") or "none"


def _try(card: AlgorithmCard) -> str:
    kinds = set(card.input)
    if InputKind.AUDIO in kinds:
        line = f"aihub infer {card.id} recording.wav"
    elif InputKind.TEXT in kinds:
        line = f"aihub infer {card.id} text.txt"
    elif InputKind.SERIES in kinds:
        line = f"aihub infer {card.id} series.csv"
    elif InputKind.IMAGE in kinds:
        line = f"aihub infer {card.id} {'reference.jpg ' if card.sequence else ''}picture.jpg --out ."
    else:
        line = f"aihub streams add rtsp://10.1.2.3/1 -a {card.id}"
    return f"```bash\n{line}\n```\n"


def _scenarios(scenarios: Iterable[Scenario]) -> str:
    parts = [
        HEAD,
        (
            "# Scenarios\n\nBundles of algorithms that one application system needs together: `aihub scenarios list`, "
            "`aihub scenarios apply ID --stream STREAM`. [Catalogue](README.md)\n"
        ),
    ]
    for scenario in scenarios:
        card = scenario.card
        parts.append(
            f'\n<a id="{card.id}"></a>\n\n## {card.title["en"]} {card.title["zh"]}\n\n`{card.id}`. {card.summary}\n\n'
        )
        parts.append("".join(f"- {line}\n" for line in card.gives))
        if card.watches:
            listed = ", ".join(_linked(scenario, part.algorithm) for part in card.watches)
            parts.append(f"\nWatches every stream, {card.fps:g} frames a second, with {listed}.\n")
        if card.asks:
            parts.append(
                f"\nIts applications call {', '.join(_linked(scenario, name) for name in card.asks)}.\n"
            )
        if card.example is not None:
            raised = ", ".join(f"`{name}` {count}" for name, count in card.example.events.items())
            parts.append(
                f"\nOn `{card.example.media}` ({card.example.evidence}) it raises at least: {raised}.\n"
            )
    return "".join(parts)


def _linked(scenario: Scenario, name: str) -> str:
    every = [algorithm for algorithm, _ in scenario.parts()] + scenario.asked()
    domain = next(one.card.domain for one in every if one.card.id == name)
    return f"[`{name}`]({domain}.md#{name})"
