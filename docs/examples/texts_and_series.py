"""Texts and series of numbers. Needs `pip install aihub`, AIHUB_URL and AIHUB_KEY."""

import math
import os

from aihub.client import AihubClient
from aihub.errors import ParamsError
from aihub.types import Fields, Labels, Points

CALLS = [
    "昨天晚上8点半,幸福路12号小区门口垃圾没人清理,电话13812345678",
    "Street lamps at 5 Harbour Road are dark and a bare wire is sparking",
]

with AihubClient(os.environ["AIHUB_URL"], os.environ["AIHUB_KEY"]) as hub:
    # Several texts are read in one request; results come in their order.
    for found in hub.read("ticket-classification", CALLS).results:
        if isinstance(found, Labels):
            print("about:", ", ".join(found.label) or "unsure: a person should read it")

    # What was read has a name, a value and its place in the text.
    for text, found in zip(CALLS, hub.read("urgent-words", CALLS).results, strict=True):
        if isinstance(found, Fields):
            print("urgent:", [(one.name, text[slice(*one.span)]) for one in found.fields if one.span])
    said = {"reference": "2026-01-07T10:00"}
    for found in hub.read("place-and-time-extraction", CALLS[0], said).results:
        if isinstance(found, Fields):
            print("where and when:", [(one.name, one.value) for one in found.fields])

    # Where texts follow each other, each is held against those before it.
    results = hub.read("duplicate-tickets", ["路灯坏了", "水管爆了", "路灯坏了"]).results
    print("said before:", [[one.value for one in row.fields] for row in results if isinstance(row, Fields)])

    # A series has values with a step, or with a time each; None where nothing was measured.
    level = {"values": [2.1, 2.4, None, 3.3, 3.2, 2.9, 2.5], "start": "2026-01-07T00:00:00Z", "step_s": 900}
    (found,) = hub.study("threshold-with-hysteresis", level, {"threshold": 3, "margin": 0.3}).results
    if isinstance(found, Points):
        print("river:", list(zip(found.label, found.value.tolist(), strict=True)))

    # What comes next, with an interval, and how well that went on the end of the series itself.
    heat = [100 + 60 * math.sin(2 * math.pi * hour / 24) + hour * 7919 % 13 for hour in range(24 * 14)]
    (found,) = hub.study("energy-load-forecast", {"values": heat, "step_s": 3600}, {"horizon": 3}).results
    if isinstance(found, Points):
        for value, low, high in zip(found.value, found.low, found.high, strict=True):
            print(f"next hour: {value:.0f} ({low:.0f} to {high:.0f})")
        print("error beside the season before:", found.measures.get("mase"))

    try:
        hub.study("energy-load-forecast", [1, 2, 3], {"horizon": 0})
    except ParamsError as error:
        print("refused:", error.field)
