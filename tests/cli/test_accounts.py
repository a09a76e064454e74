"""`aihub tenants`, `keys`, `usage`, `audit`: who may do what, who did what, without a running hub."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import Any

import pytest

from aihub.storage.records import Usage
from aihub.storage.repository import Repository
from tests.cli.conftest import Run


def database(here: Path) -> Repository:
    return Repository.open(f"sqlite:///{here}/home/aihub.db")


def test_a_new_hub_has_a_tenant_that_may_do_everything(aihub: Run) -> None:
    (row,) = aihub("tenants", "list", "--json").value
    assert (row["id"], row["algorithms"], row["stream_groups"]) == ("default", ["*"], ["*"])
    lines = aihub("tenants", "list").out.splitlines()
    assert lines[0].split()[:3] == ["ID", "TITLE", "ALGORITHMS"]
    assert lines[1].count("no limit") == 3


def test_the_life_of_a_tenant(aihub: Run) -> None:
    limits = ("--calls-per-second", 2.5, "--burst", 5, "--concurrency", 3, "--calls-per-day", 1000)
    made = aihub(
        "tenants", "create", "fire", "--title", "消防", "-a", "fire-*", "-g", "yard", *limits, "--json"
    ).value
    assert made == aihub("tenants", "show", "fire", "--json").value
    assert (made["title"], made["algorithms"], made["stream_groups"]) == ("消防", ["fire-*"], ["yard"])
    assert (made["calls_per_second"], made["burst"], made["concurrency"], made["calls_per_day"]) == (
        2.5,
        5,
        3,
        1000,
    )
    assert "1,000" in aihub("tenants", "show", "fire").out
    changed = aihub("tenants", "update", "fire", "--concurrency", 0, "-a", "*", "--json").value
    assert (changed["concurrency"], changed["algorithms"], changed["burst"]) == (None, ["*"], 5)
    assert aihub("tenants", "update", "fire", "-a", "", "--json").value["algorithms"] == []
    assert aihub("tenants", "remove", "fire").out == "removed fire\n"
    assert aihub("tenants", "show", "fire").code == 2


def test_a_tenant_has_nothing_that_it_was_not_given(aihub: Run) -> None:
    made = aihub("tenants", "create", "fire", "--json").value
    assert made["algorithms"] == made["stream_groups"] == []


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("tenants create default", 1, "exists already"),
        ("tenants create bad/id", 2, "id:"),
        ("tenants create fire -a [x]", 2, "algorithms:"),
        ("tenants update default", 2, "nothing to change"),
        ("tenants update nobody --title x", 2, "no tenant named 'nobody'"),
        ("tenants update default --concurrency -1", 2, "concurrency:"),
        ("tenants remove default", 1, "still has keys in force"),
        ("keys create desk --tenant water", 2, "aihub tenants create water"),
        ("keys rotate nobody", 2, "no key named 'nobody'"),
    ],
)
def test_what_cannot_be_done_says_why(aihub: Run, command: str, code: int, said: str) -> None:
    done = aihub(*command.split())
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_key_is_rotated_with_a_grace_time(aihub: Run) -> None:
    old = aihub("keys", "create", "desk", "--scopes", "infer", "--json").value
    new = aihub("keys", "rotate", old["id"], "--grace-hours", 2, "--json").value
    assert (new["name"], new["scopes"], new["replaces"]) == ("desk", ["infer"], old["id"])
    assert new["key"] != old["key"]
    rows = {row["id"]: row for row in aihub("keys", "list", "--json").value}
    assert rows[old["id"]]["replaced_by"] == new["id"]
    assert rows[old["id"]]["expires_at"] == pytest.approx(time.time() + 7200, abs=60)
    again = aihub("keys", "rotate", new["id"])
    assert again.out.startswith("aihub_")
    assert "ends within 24 hours" in again.out


def test_what_was_done_here_is_in_the_audit_with_who_did_it(aihub: Run) -> None:
    key = aihub("keys", "create", "desk", "--json").value
    new = aihub("keys", "rotate", key["id"], "--json").value
    aihub("keys", "revoke", new["id"])
    aihub("tenants", "create", "fire")
    rows = aihub("audit", "--json").value
    assert [row["action"] for row in rows] == [
        "tenant.create", "key.revoke", "key.rotate", "key.create", "key.create",
    ]  # fmt: skip
    assert {(row["actor"], row["address"]) for row in rows[:4]} == {(getpass.getuser(), "local")}
    assert (rows[4]["actor"], rows[4]["detail"]["name"]) == ("hub", "admin"), "the first key of the home"
    assert key["key"] not in str(rows)
    assert [row["action"] for row in aihub("audit", "--action", "key.", "--limit", 2, "--json").value] == [
        "key.revoke", "key.rotate",
    ]  # fmt: skip
    text = aihub("audit").out
    assert text.splitlines()[0].split() == ["TIME", "WHO", "TENANT", "FROM", "ACTION", "WHAT", "OUTCOME"]
    assert new["id"] in text
    assert aihub("audit", "--actor", "nobody").out == "nothing was noted\n"


def test_all_of_the_audit_can_be_kept_elsewhere(aihub: Run, here: Path) -> None:
    aihub("tenants", "create", "fire")
    repository = database(here)
    for number in range(1003):  # more than a page
        repository.add_audit("ann", "event.snapshot", f"e{number}", now=float(number))
    repository.close()
    lines = [json.loads(line) for line in aihub("audit", "--export").out.splitlines()]
    assert [row["id"] for row in lines] == sorted({row["id"] for row in lines}, reverse=True)
    assert [row["subject"] for row in lines if row["actor"] == "ann"] == [
        f"e{n}" for n in range(1002, -1, -1)
    ]
    assert {"at", "actor", "action", "subject", "detail", "tenant", "address", "outcome"} <= lines[0].keys()
    assert {row["action"] for row in lines if row["actor"] != "ann"} == {"key.create", "tenant.create"}
    only = aihub("audit", "--export", "--action", "tenant.").out.splitlines()
    assert [json.loads(line)["action"] for line in only] == ["tenant.create"]
    assert aihub("audit", "--export", "--actor", "nobody").out == ""


def test_usage_is_shown_with_its_sum(aihub: Run, here: Path) -> None:
    assert aihub("usage").out == "nothing was used\n"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    repository = database(here)
    rows = [Usage(today, "fire", f"a{n:04d}", 1, 0, 2, 0.5) for n in range(1005)]
    repository.add_usage([*rows, Usage("2020-01-01", "fire", "old", 7), Usage(today, "water", "a0000", 4)])
    repository.close()
    found: dict[str, Any] = aihub("usage", "--tenant", "fire", "--json").value
    assert len(found["items"]) == 1005
    assert found["total"] == {"calls": 1005, "errors": 0, "frames": 2010, "compute_s": 502.5}
    lines = aihub("usage", "-a", "a0000").out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        [today, "fire", "a0000", "1", "0", "2", "0.5"],
        [today, "water", "a0000", "4", "0", "0", "0.0"],
        ["all", "5", "0", "2", "0.5"],
    ]
