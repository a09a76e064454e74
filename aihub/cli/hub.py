"""`aihub up`: the whole hub with one command."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from aihub.cli.local import local_settings
from aihub.cli.output import JsonFlag, console, error_console, print_json, say
from aihub.cli.stopping import stop_on_signals
from aihub.errors import ConfigError
from aihub.serve.cluster import Cluster, port_taken
from aihub.serve.home import prepare_home

app = typer.Typer(add_completion=False)

READY_S = 120.0


def start_hub(cluster: Cluster, stop: threading.Event) -> bool:
    """Start a hub and wait until it is ready; False when a signal came first.

    Raises:
        ConfigError: the port is taken, a hub runs on that cluster already, or Ray is not installed.
        ConnectError: not ready in time; the message holds what is not.
    """
    cluster.start()
    stop_on_signals(stop)
    return cluster.wait_ready(READY_S, stop)


@app.command()
def up(
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="HTTP port.", show_default="8000")] = None,
    grpc_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="gRPC port; 0 turns it off.", show_default="9000")
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the hub keeps its data.", show_default="~/.aihub"),
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Ray cluster to join; `local` starts one.")
    ] = "local",
    json: JsonFlag = False,
) -> None:
    """Start the hub and keep it running until Ctrl-C. Ready when /readyz says so."""
    begun = time.monotonic()
    settings = local_settings(
        host=host, port=port, grpc_port=grpc_port, home=home.absolute() if home else None
    )
    _check_cluster(address)
    stop = stop_on_signals()
    prepared = prepare_home(settings)
    cluster = Cluster(settings, address)
    try:
        with contextlib.nullcontext() if json else console.status("starting the hub ..."):
            ready = start_hub(cluster, stop)
        took = time.monotonic() - begun
        if ready and json:
            print_json(
                {
                    "ready": True,
                    "url": cluster.url,
                    "home": str(settings.home),
                    "cold_start_s": round(took, 2),
                }
            )
        elif ready:
            say(("ready", "green"), f" after {took:.1f} s at ", (cluster.url, "bold"))
            say(f"admin key: {prepared.admin_key_file}   data: {settings.home}   Ctrl-C stops")
        while not stop.wait(1.0):
            continue
        error_console.print("stopping ...")
    finally:
        cluster.stop()


def _check_cluster(address: str) -> None:
    """Say at once that nothing listens there; Ray itself takes minutes to give up."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host and not port_taken(host, int(port)):
        raise ConfigError(
            f"no Ray cluster answers at {address}",
            hint="`ray start --head` starts one; without --address the hub brings its own",
        )
