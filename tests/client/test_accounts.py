"""Tenants, keys, usage and the audit, with both clients."""

from __future__ import annotations

import time

import pytest

from aihub import errors
from aihub.client import AihubClient
from tests.client.faces import Make
from tests.serve.hub import TestHub, encoded


def test_a_tenant_from_its_first_key_to_its_end(url: str, admin: AihubClient, make: Make) -> None:
    tenant = admin.add_tenant("yard", title="Yard", algorithms=["thing-*"], calls_per_day=100)
    assert (tenant.algorithms, tenant.calls_per_day) == (["thing-*"], 100)
    assert admin.tenant("yard") == tenant
    assert tenant in admin.tenants()
    with pytest.raises(errors.ConflictError):
        admin.add_tenant("yard")
    assert admin.update_tenant("yard", {"calls_per_day": None}).calls_per_day is None
    key = admin.add_key("gate", ["infer"], tenant="yard", expires_at=time.time() + 1000)
    assert key.key not in repr(key)
    theirs = make(url, key.key)
    assert [row.id for row in theirs.algorithms()] == ["thing-detection"]
    with pytest.raises(errors.AlgorithmNotFoundError):
        theirs.infer("absent-detection", encoded())
    with pytest.raises(errors.ConflictError):
        admin.delete_tenant("yard")
    later = admin.rotate_key(key.id, grace_s=0)
    assert later.key != key.key
    assert [row.id for row in make(url, later.key).algorithms()] == ["thing-detection"]
    assert admin.revoke_key(later.id).revoked_at is not None
    rows = admin.keys()
    assert {row.id for row in rows if row.tenant == "yard"} == {key.id, later.id}
    admin.delete_tenant("yard")
    with pytest.raises(errors.NotFoundError):
        admin.tenant("yard")


def test_usage_and_its_sum(hub: TestHub, client: AihubClient) -> None:
    for _ in range(3):
        client.infer("thing-detection", encoded())
    hub.app.state.parts.admission.usage.flush()
    (row,) = client.usage(algorithm="thing-detection")
    assert (row.tenant, row.calls, row.errors, row.frames) == ("default", 3, 0, 3)
    total = client.usage_total(algorithm="thing-detection")
    assert (total.calls, total.compute_s) == (3, row.compute_s)
    with pytest.raises(errors.ForbiddenError):
        client.usage_total(tenant="other")


def test_the_audit_is_gone_through_page_by_page(admin: AihubClient, client: AihubClient) -> None:
    for name in ("a", "b", "c"):
        admin.add_key(name, ["infer"])
    notes = list(admin.audit(action="key.create", limit=2))
    assert len(notes) == 2
    assert {note.action for note in notes} == {"key.create"}
    assert [note.at for note in notes] == sorted((note.at for note in notes), reverse=True)
    with pytest.raises(errors.ForbiddenError):
        list(client.audit())
