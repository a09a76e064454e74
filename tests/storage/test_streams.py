"""Streams, their leases, and how they do."""

from __future__ import annotations

import multiprocessing
import time

import pytest

from aihub.errors import ConflictError, ParamsError, StreamNotFoundError
from aihub.storage.repository import Repository
from aihub.types import StreamSpec, StreamState, StreamStatus
from tests.storage.databases import a_stream


def add(repository: Repository, *names: str, at: float = 0.0) -> None:
    for name in names:
        repository.add_stream(a_stream(name), now=at)


def names(specs: list[StreamSpec]) -> list[str]:
    return [spec.id for spec in specs]


def test_a_stream_comes_back_as_it_was_given(repository: Repository) -> None:
    spec = a_stream(username="admin", password="p@ss", name="大门")
    repository.add_stream(spec)
    assert repository.get_stream("gate") == spec


def test_the_same_id_twice_is_a_conflict(repository: Repository) -> None:
    add(repository, "gate")
    with pytest.raises(ConflictError, match="gate"):
        add(repository, "gate")


def test_another_tenants_stream_is_as_good_as_absent(repository: Repository) -> None:
    repository.add_stream(a_stream(tenant="fire"))
    for act in (
        lambda: repository.get_stream("gate", tenant="police"),
        lambda: repository.update_stream("gate", {"name": "x"}, tenant="police"),
        lambda: repository.delete_stream("gate", tenant="police"),
    ):
        with pytest.raises(StreamNotFoundError):
            act()
    assert repository.list_streams(tenant="police").items == []
    assert names(repository.list_streams(tenant="fire").items) == ["gate"]


def test_pages_cover_all_streams_once(repository: Repository) -> None:
    add(repository, *(f"s{number}" for number in range(7)))
    seen, cursor = [], None
    while True:
        page = repository.list_streams(after=cursor, limit=3)
        seen += names(page.items)
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"s{number}" for number in range(7)]
    assert repository.count_streams() == 7
    assert names(repository.list_streams(ids=["s3", "s1", "none"]).items) == ["s1", "s3"]


@pytest.mark.parametrize("cursor", ["", "!!!", "bnVsbA", "WzFd", "W10", "é"])
def test_a_forged_cursor_is_the_callers_error(repository: Repository, cursor: str) -> None:
    with pytest.raises(ParamsError) as caught:
        repository.list_streams(after=cursor)
    assert caught.value.field == "cursor"


def test_updates_count_revisions_and_refuse_a_lost_one(repository: Repository) -> None:
    add(repository, "gate")
    assert repository.update_stream("gate", {"name": "x"}).revision == 2
    assert repository.update_stream("gate", {"name": "x"}).revision == 2  # nothing changed
    assert repository.update_stream("gate", {"tasks": ()}, expected_revision=2).tasks == ()
    with pytest.raises(ConflictError, match="revision 3"):
        repository.update_stream("gate", {"name": "y"}, expected_revision=2)
    assert repository.get_stream("gate").name == "x"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "other"}, "id"),
        ({"tenant": "other"}, "tenant"),
        ({"revision": 9}, "revision"),
        ({"nonsense": 1}, "nonsense"),
        ({"transport": "pigeon"}, "transport"),
        ({"sampling": {"fps": 0}}, "sampling.fps"),
    ],
)
def test_wrong_changes_name_their_field(
    repository: Repository, changes: dict[str, object], field: str
) -> None:
    add(repository, "gate")
    with pytest.raises(ParamsError) as caught:
        repository.update_stream("gate", changes)
    assert caught.value.field == field


def test_deleting_takes_status_and_lease_along(repository: Repository) -> None:
    add(repository, "gate")
    repository.claim_streams("h1", 9, 10, now=0.0)
    repository.save_statuses("h1", {"gate": StreamStatus(state=StreamState.LIVE)}, now=0.0)
    repository.delete_stream("gate")
    assert repository.renew_leases("h1", 10, now=1.0) == []
    assert repository.statuses(["gate"]) == {}
    with pytest.raises(StreamNotFoundError):
        repository.delete_stream("gate")


def test_a_host_never_claims_beyond_its_capacity(repository: Repository) -> None:
    add(repository, "a", "b", "c")
    assert len(repository.claim_streams("h1", 2, 10, now=0.0)) == 2
    assert repository.claim_streams("h1", 2, 10, now=1.0) == []
    assert names(repository.claim_streams("h2", 9, 10, now=1.0)) == ["c"]


def test_leases_run_out_when_a_host_dies_and_not_before(repository: Repository) -> None:
    add(repository, "a")
    repository.claim_streams("h1", 9, 10, now=0.0)
    assert repository.claim_streams("h2", 9, 10, now=9.9) == []
    assert names(repository.renew_leases("h1", 10, now=9.0)) == ["a"]
    assert repository.claim_streams("h2", 9, 10, now=18.9) == []
    assert names(repository.claim_streams("h2", 9, 10, now=19.0)) == ["a"]
    assert repository.renew_leases("h1", 10, now=19.5) == []  # it must stop: the stream is another's now


def test_renewing_shows_changes_and_gives_up_what_was_disabled(repository: Repository) -> None:
    add(repository, "a", "b")
    repository.claim_streams("h1", 9, 10, now=0.0)
    repository.update_stream("a", {"name": "new"})
    repository.update_stream("b", {"enabled": False})
    (kept,) = repository.renew_leases("h1", 10, now=1.0)
    assert (kept.id, kept.revision, kept.name) == ("a", 2, "new")
    assert repository.claim_streams("h2", 9, 10, now=2.0) == []  # disabled streams are nobody's
    repository.update_stream("b", {"enabled": True})
    assert names(repository.claim_streams("h2", 9, 10, now=2.0)) == ["b"]


def test_released_streams_are_free_at_once(repository: Repository) -> None:
    add(repository, "a", "b", "c")
    repository.claim_streams("h1", 9, 10, now=0.0)
    assert repository.release_streams("h1", ["a"], now=1.0) == 1
    assert names(repository.claim_streams("h2", 9, 10, now=1.0)) == ["a"]
    assert repository.release_streams("h1", now=1.0) == 2
    assert repository.release_streams("h1", ["a"], now=1.0) == 0  # it is h2's: not h1's to give


def test_hosts_that_start_together_share_evenly(repository: Repository) -> None:
    add(repository, *(f"s{number}" for number in range(9)), at=100.0)
    assert len(repository.claim_streams("h1", 64, 10, hosts=2, now=100.0)) == 5
    assert len(repository.claim_streams("h2", 64, 10, hosts=2, now=100.0)) == 4
    assert repository.claim_streams("h1", 64, 10, hosts=2, now=101.0) == []


def test_what_stays_free_is_taken_beyond_the_share(repository: Repository) -> None:
    add(repository, *(f"s{number}" for number in range(8)), at=100.0)
    assert len(repository.claim_streams("h1", 64, 10, hosts=2, now=100.0)) == 4
    assert len(repository.claim_streams("h2", 2, 10, hosts=2, now=100.0)) == 2  # it has no room for more
    repository.renew_leases("h1", 20, now=105.0)
    repository.renew_leases("h2", 20, now=105.0)
    assert repository.claim_streams("h1", 64, 10, hosts=2, now=109.0) == []
    assert len(repository.claim_streams("h1", 64, 10, hosts=2, now=110.0)) == 2


def _contend(url: str, host: str, results: multiprocessing.Queue[tuple[str, list[str]]]) -> None:
    repository = Repository.open(url)
    got: list[str] = []
    until = time.monotonic() + 5
    while len(got) < 200 and time.monotonic() < until:
        taken = repository.claim_streams(host, len(got) + 5, 60)
        if not taken:
            break
        got += names(taken)
    results.put((host, got))
    repository.close()


def test_two_processes_never_claim_the_same_stream(url: str) -> None:
    repository = Repository.open(url)
    add(repository, *(f"s{number:03d}" for number in range(120)))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[str, list[str]]] = context.Queue()
    hosts = [context.Process(target=_contend, args=(url, f"h{number}", results)) for number in (1, 2)]
    for host in hosts:
        host.start()
    claims = dict(results.get(timeout=30) for _ in hosts)
    for host in hosts:
        host.join(10)
    taken = claims["h1"] + claims["h2"]
    assert sorted(taken) == [f"s{number:03d}" for number in range(120)]
    for name, got in claims.items():
        assert names(repository.renew_leases(name, 60)) == sorted(got)
    repository.close()


def test_statuses_of_streams_a_host_lost_are_not_taken(repository: Repository) -> None:
    add(repository, "a")
    repository.claim_streams("h1", 9, 10, now=0.0)
    repository.save_statuses("h1", {"a": StreamStatus(state=StreamState.LIVE)}, now=1.0)
    status = repository.statuses(["a"], now=1.0)["a"]
    assert (status.state, status.host, status.updated_at) == (StreamState.LIVE, "h1", 1.0)
    repository.claim_streams("h2", 9, 10, now=11.0)
    repository.save_statuses("h2", {"a": StreamStatus(state=StreamState.BACKOFF)}, now=12.0)
    repository.save_statuses("h1", {"a": StreamStatus(state=StreamState.LIVE)}, now=13.0)
    assert repository.statuses(["a"], now=13.0)["a"].state is StreamState.BACKOFF


def test_a_dead_hosts_last_word_is_not_believed(repository: Repository) -> None:
    add(repository, "a", "b", "new")
    repository.claim_streams("h1", 2, 10, now=0.0)
    live = StreamStatus(state=StreamState.LIVE, frames_read=7)
    repository.save_statuses("h1", {"a": live, "b": live}, now=1.0)
    repository.update_stream("b", {"enabled": False})
    states = {name: status.state for name, status in repository.statuses(["a", "b", "new"], now=11.0).items()}
    assert states == {"a": StreamState.PENDING, "b": StreamState.PAUSED, "new": StreamState.PENDING}
    assert repository.statuses(["a"], now=11.0)["a"].frames_read == 7


def test_a_snapshot_request_reaches_the_host_once(repository: Repository) -> None:
    add(repository, "a", "b")
    repository.claim_streams("h1", 9, 10, now=0.0)
    repository.request_snapshot("a", now=5.0)
    requests = repository.snapshot_requests("h1")
    assert requests == {"a": 5.0}
    assert repository.snapshot_requests("h2") == {}
    repository.request_snapshot("a", now=6.0)  # asked anew while the first was answered
    repository.snapshots_taken(requests)
    assert repository.snapshot_requests("h1") == {"a": 6.0}
    repository.snapshots_taken({"a": 6.0})
    assert repository.snapshot_requests("h1") == {}
    with pytest.raises(StreamNotFoundError):
        repository.request_snapshot("none")
