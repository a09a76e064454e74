"""Fixtures of the gRPC tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.grpc as triton

from aihub.storage.repository import Repository
from tests.serve.grpc.served import Served
from tests.serve.hub import TestHub


@pytest.fixture
def served(hub: TestHub, tmp_path: Path) -> Iterator[Served]:
    """A face that answers."""
    made = Served(hub, tmp_path)
    made.face.start()
    yield made
    made.close()


@pytest.fixture
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    """A stock client."""
    with triton.InferenceServerClient(served.address) as made:
        yield made


@pytest.fixture(scope="module")
def shared(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A face that answers, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copyfile(database_template, folder / "aihub.db")
    repository = Repository.open(f"sqlite:///{folder / 'aihub.db'}", timeout_s=5)
    made = Served(TestHub(repository, folder), folder)
    made.face.start()
    yield made
    made.close()
    repository.close()
