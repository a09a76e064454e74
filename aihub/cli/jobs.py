"""`aihub jobs`: films and pictures, analysed once from beginning to end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.listing import LimitOption, clock
from aihub.cli.output import JsonFlag, error_console, print_ended, print_json, print_mapping, print_table, say
from aihub.cli.values import no_strays, params_of, parse_params
from aihub.client import AihubClient
from aihub.client.jobs import pack_folder
from aihub.errors import InputError
from aihub.types.jobs import JobCodec, JobInfo, JobOutput, JobState

app = typer.Typer(
    help="Films and pictures, analysed once from beginning to end.",
    no_args_is_help=True,
    add_completion=False,
)

Id = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.")]
COLOURS = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
    JobState.RUNNING: "cyan",
}
FILES: dict[JobOutput, tuple[str, Callable[[AihubClient], Callable[[str, Path], None]]]] = {
    JobOutput.JSONL: ("results.jsonl", lambda hub: hub.save_job_results),
    JobOutput.MP4: ("annotated.mp4", lambda hub: hub.save_job_film),
    JobOutput.COCO: ("coco.json", lambda hub: hub.save_job_coco),
}


@app.command("submit")
def submit(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A film, a ZIP of pictures, or a folder of pictures, which is sent as a ZIP."
        ),
    ],
    algorithm: Annotated[
        list[str], typer.Option("--algorithm", "-a", metavar="ID", help="Algorithm to look with. Repeat.")
    ],
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            metavar="NAME=VALUE",
            help="A parameter of the algorithms; ALGORITHM.NAME=VALUE for one of them. Repeat.",
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option(min=0.01, max=60, metavar="FPS", help="Analysed frames per second of a film.")
    ] = 5.0,
    output: Annotated[
        list[JobOutput] | None,
        typer.Option("--output", "-o", help="What to make beside the JSON lines. Repeat."),
    ] = None,
    codec: Annotated[
        JobCodec, typer.Option(help="Of the annotated film: vp9 for browsers, mpeg4 to have it much sooner.")
    ] = JobCodec.VP9,
    wait: Annotated[
        bool,
        typer.Option("--wait", "-w", help="Show how far it is until it has ended; Ctrl-C leaves it running."),
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Send a file to the hub to be analysed.

    aihub jobs submit night.mp4 -a intrusion -a fire-smoke-detection -o mp4 --wait
    """
    values = parse_params(param)
    tasks = [{"algorithm": item, "params": params_of(item, values)} for item in algorithm]
    no_strays(values, algorithm, "look at this file")
    with connect(url, key) as hub:
        job = _submit(hub, file, tasks, fps=fps, codec=codec, outputs=output or [JobOutput.JSONL])
        if wait:
            job = _follow(hub, job, quiet=json)
    _print_one(job, json)
    if job.state is JobState.FAILED:
        raise typer.Exit(1)


def _submit(hub: AihubClient, file: Path, tasks: list[dict[str, Any]], **options: Any) -> JobInfo:
    if not file.exists():
        raise InputError(f"no such file: {file}", field="file")
    if not file.is_dir():
        return hub.submit_job(file, tasks, **options)
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "pictures.zip"
        pack_folder(file, packed)
        return hub.submit_job(packed, tasks, name=f"{file.resolve().name}.zip", **options)


def _follow(hub: AihubClient, job: JobInfo, *, quiet: bool) -> JobInfo:
    """Wait for the end, with a bar on standard error where a person looks."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(
        *columns, console=error_console, disable=quiet or not error_console.is_terminal, transient=True
    ) as bar:
        shown = bar.add_task("waiting", total=100, left="")
        try:
            for step in hub.follow_job(job.id):
                progress = step.progress
                left = "" if progress.eta_s is None else f"{_duration(progress.eta_s)} left"
                bar.update(
                    shown, completed=progress.percent, description=f"{progress.phase.value:<9}", left=left
                )
        except KeyboardInterrupt:
            error_console.print(Text(f"job {job.id} goes on; `aihub jobs cancel {job.id}` ends it"))
    return hub.job(job.id)


@app.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """List jobs, newest first."""
    with connect(url, key) as hub:
        jobs = list(hub.jobs(state=state, limit=limit))
    if json:
        print_json([job.model_dump(mode="json") for job in jobs])
        return
    print_table(
        ("ID", "SUBMITTED", "STATE", "PERCENT", "FRAMES", "FILE", "ALGORITHMS", "ERROR"),
        (
            (j.id, clock(j.created_at), coloured(j.state), f"{j.progress.percent:.0f}", _frames(j), j.name,
             ", ".join(task.algorithm for task in j.tasks), j.error)
            for j in jobs
        ),
        free=("FILE", "ALGORITHMS", "ERROR"),
    )  # fmt: skip


@app.command("show")
def show(job: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Show one job."""
    with connect(url, key) as hub:
        found = hub.job(job)
    _print_one(found, json)


@app.command("cancel")
def cancel(job: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """End a job at its next frame; the lines it has written stay."""
    with connect(url, key) as hub:
        found = hub.cancel_job(job)
    _print_one(found, json)


@app.command("remove")
def remove(job: Id, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Forget a job that has ended, and its files."""
    with connect(url, key) as hub:
        hub.delete_job(job)
    print_ended("removed", job, json)


@app.command("fetch")
def fetch(
    job: Id,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the files.")] = Path(),
    output: Annotated[
        list[JobOutput] | None,
        typer.Option("--output", "-o", help="Only these. Repeat.", show_default="all that the job made"),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the results of a job that has ended to files."""
    with connect(url, key) as hub:
        found = hub.job(job)
        out.mkdir(parents=True, exist_ok=True)
        # Of a job that failed or was cancelled there is no more than its lines.
        made = found.outputs if found.state is JobState.DONE else [JobOutput.JSONL]
        written = []
        for chosen in output or made:
            name, save = FILES[chosen]
            path = out / name
            save(hub)(job, path)
            written.append(str(path))
    if json:
        print_json({"files": written})
        return
    for name in written:
        say(name)


def coloured(state: JobState) -> Text:
    """The state in its colour."""
    return Text(state.value, style=COLOURS.get(state, "yellow"))


def _print_one(job: JobInfo, json: bool) -> None:
    if json:
        print_json(job.model_dump(mode="json"))
        return
    progress = job.progress
    shown: dict[str, object] = {
        "id": job.id,
        "file": job.folder or job.name,
        "state": Text.assemble(coloured(job.state), f"  {job.error}"),
        "algorithms": ", ".join(task.algorithm for task in job.tasks),
        "outputs": ", ".join(output.value for output in job.outputs),
        "frames": _frames(job),
    }
    if not job.state.ended:
        left = "" if progress.eta_s is None else f", {_duration(progress.eta_s)} left"
        shown["progress"] = f"{progress.percent:.0f} % ({progress.phase.value}{left})"
    if progress.frames_failed:
        shown["failed"] = f"{progress.frames_failed} frames, see their lines"
    if progress.events:
        shown["events"] = f"{progress.events} steps"
    if job.started_at is not None and job.finished_at is not None:
        shown["took"] = _duration(job.finished_at - job.started_at)
    print_mapping(shown)


def _frames(job: JobInfo) -> str:
    progress = job.progress
    return f"{progress.frames_done}" + (
        "" if progress.frames_total is None else f" of {progress.frames_total}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
