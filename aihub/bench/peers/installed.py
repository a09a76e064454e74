"""Other servers, each in an environment of its own under `.venv-peers`: what they are, and a running one.

`benchmarks/peers/<peer>/peer.yaml` is a peer's card, `python -m benchmarks.peers.setup` makes the environments. Nothing of a
peer is imported here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aihub.bench.stand import NotHereError
from aihub.errors import InputError
from aihub.plugins import data_folder
from aihub.serve.cluster import free_port

ENVIRONMENTS = Path(".venv-peers")
"""Where `benchmarks.peers.setup` puts environments if it is told nothing else."""

MARK = "installed.json"
"""What the set-up leaves in an environment: the versions, or why it could not be made."""

SETTINGS = "AIHUB_PEER_SETTINGS"
"""Environment variable that tells a peer's detector where its settings are."""

START_S = 90.0
STOP_S = 20.0
_SAID = 600


class Advice(BaseModel):
    """One setting that a peer is given.

    Attributes:
        what: the setting and its value.
        why: what it does here.
        page: where its makers document it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    what: str
    why: str
    page: str = ""


class PeerCard(BaseModel):
    """What `peer.yaml` says.

    Attributes:
        name: as on the command line and in figures.
        title: for people.
        package: of which the version is noted.
        license: SPDX id.
        command: starts the server; `{python}`, `{bin}`, `{port}` and `{work}` (a folder to write in) are filled in. Empty for a
            peer that serves no HTTP of ours.
        environment: variables, filled in likewise.
        no_server: why there is no command.
        settings: what it is given and on whose word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    package: str
    license: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    no_server: str = ""
    settings: tuple[Advice, ...] = ()


def cards() -> list[PeerCard]:
    """Every peer, by name.

    Raises:
        InputError: a card is wrong.
    """
    return sorted((_read(path) for path in folder().glob("*/peer.yaml")), key=lambda card: card.name)


def folder() -> Path:
    """Where the peers lie."""
    return data_folder("benchmarks") / "peers"


def place(card: PeerCard) -> Path:
    """The folder of a peer's own files."""
    return folder() / card.name.replace("-", "_")


def _read(path: Path) -> PeerCard:
    try:
        return PeerCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path} is no card of a peer: {error}") from None


@dataclass(frozen=True, slots=True)
class Installed:
    """A peer's environment.

    Attributes:
        card: of the peer.
        python: its interpreter.
        versions: of what is measured: the peer's package, the runtimes.
    """

    card: PeerCard
    python: Path
    versions: Mapping[str, str]

    @property
    def version(self) -> str:
        """Of the peer's package."""
        return self.versions.get(self.card.package, "")


def installed(card: PeerCard, environments: Path) -> Installed:
    """The environment of a peer.

    Raises:
        NotHereError: there is none, or it could not be made; says why and how to make it.
    """
    home = environments / card.name
    how = f"python -m benchmarks.peers.setup {card.name}"
    how += "" if environments == ENVIRONMENTS else f" --into {environments}"
    try:
        mark = json.loads((home / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise NotHereError(f"{card.title} is not installed in {home}: {how}") from None
    if "failed" in mark:
        raise NotHereError(f"{card.title} does not install here: {mark['failed']} (to try again: {how})")
    # Not resolved: the link is what makes it that environment's interpreter.
    return Installed(card, (home / "bin" / "python").absolute(), mark["versions"])


def command_of(peer: Installed, port: int, work: Path) -> list[str]:
    """What starts a peer's server.

    Raises:
        NotHereError: it has none; says why.
    """
    if not peer.card.command:
        raise NotHereError(f"{peer.card.title}: {peer.card.no_server or 'no server'}")
    return [_filled(part, peer, port, work) for part in peer.card.command]


def _filled(text: str, peer: Installed, port: int, work: Path) -> str:
    return text.format(python=peer.python, bin=peer.python.parent, port=port, work=work)


def environment_of(peer: Installed, settings: Path, port: int, work: Path) -> dict[str, str]:
    """Environment of a peer's processes: ours, with its own programs first and the benchmarks to import, without our settings."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIHUB_", "RAY_", "VIRTUAL_ENV"))
    }
    return ours | {
        "PATH": f"{peer.python.parent}{os.pathsep}{ours.get('PATH', '')}",
        **benchmarks_environment(settings),
        **{name: _filled(value, peer, port, work) for name, value in peer.card.environment.items()},
    }


def benchmarks_environment(settings: Path) -> dict[str, str]:
    """What a process needs that imports the benchmarks: where they are, and the detector's settings."""
    return {
        "PYTHONPATH": str(data_folder("benchmarks").parent.absolute()),
        SETTINGS: str(settings.absolute()),
    }


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        url: without a path.
        pid: of its first process.
    """

    url: str
    pid: int


@contextmanager
def running(peer: Installed, settings: Path, work: Path, jpeg: bytes) -> Iterator[Running]:
    """Start a peer's server, wait until it answers a picture, give it, end it with all its processes.

    Args:
        peer: to start.
        settings: of the detector, see `benchmarks.peers.detector`.
        work: a folder for what it writes; its log is `server.log` there.
        jpeg: the picture.

    Raises:
        NotHereError: it does not answer in time or ends; with the last that it said.
    """
    work.mkdir(parents=True, exist_ok=True)
    work, port = work.absolute(), free_port()
    log = work / "server.log"
    with log.open("wb") as out:
        # A session of its own: the whole group can be ended, and a Ctrl-C reaches us first.
        process = subprocess.Popen(
            command_of(peer, port, work), cwd=work, env=environment_of(peer, settings, port, work),
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        if not _answers(process, f"{url}/detect", jpeg):
            said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-_SAID:]
            raise NotHereError(
                f"{peer.card.title} does not answer within {START_S:g} s; it said: {said or 'nothing'}"
            )
        yield Running(url, process.pid)
    finally:
        end(process)


def _answers(process: subprocess.Popen[bytes], url: str, jpeg: bytes) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx2.HTTPError):
            answer = httpx2.post(
                url, content=jpeg, headers={"Content-Type": "image/jpeg"}, timeout=10.0, trust_env=False
            )
            if answer.status_code == 200:
                return True
        time.sleep(0.2)
    return False


def processes(pid: int) -> list[psutil.Process]:
    """A process and all that came of it; empty when it is gone."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def cpu_share(pid: int, seconds: float) -> float:
    """Cores that a process and all that came of it keep busy, over so many seconds."""
    before = {one.pid: _cpu_s(one) for one in processes(pid)}
    time.sleep(seconds)
    return sum(max(0.0, _cpu_s(one) - before.get(one.pid, 0.0)) for one in processes(pid)) / seconds


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def end(process: subprocess.Popen[bytes], wait_s: float = STOP_S) -> None:
    """Ask a process and all that came of it to end, and after a while make them."""
    everyone = processes(process.pid)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)
    _, left = psutil.wait_procs(everyone, timeout=0 if process.poll() is None else 3.0)
    for one in left:
        with suppress(psutil.Error):
            one.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(wait_s)
