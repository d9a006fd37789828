"""What Google Cloud Dataflow needs of a run.

Checks before anything is submitted, one job a data set, and a wait that says how to follow a job that outlives it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions, TestOptions
from apache_beam.runners.runner import PipelineState

from beam_pipeline import files
from beam_pipeline.config import ConfigError
from beam_pipeline.errors import NoSummary, RunError
from beam_pipeline.job import Job
from beam_pipeline.pool import stopping
from beam_pipeline.status import read_status

_POLL_S = 0.5
_GO_ON = "run the same command again to go on"


class JobFailed(Exception):  # noqa: N818 - as engines say
    """An engine gave a job up; the message has what it says of it, which may be the traceback of a worker."""


def is_asked(pipeline: beam.Pipeline) -> bool:
    """Whether a pipeline is to run on Dataflow."""
    return type(pipeline.runner).__name__ == "DataflowRunner"


def prepare(pipeline: beam.Pipeline, job: Job) -> None:
    """Checks that Dataflow can do a job, and names it, unless it has a name, after what it writes.

    Dataflow keeps a second job of an active one's name out, which is the lock that an object store hasn't; but says so
    when a job is submitted, before which a run has changed what is there, so that it is asked for one here, too. What
    launches a template may not list jobs: there the output itself is asked for signs of life.

    Raises:
      ConfigError: something that workers need is on this machine, or what submits jobs isn't installed.
      RunError: a job that writes to the same places is at work, or Dataflow does not say.
    """
    try:
        from google.cloud import dataflow as _  # noqa: F401 - only whether it is there
    except ImportError:
        raise ConfigError(
            "--runner=DataflowRunner needs Google's clients: pip install 'apache-beam[gcp]', of Beam's version here"
        ) from None
    problems = [
        f"{key} is on this machine, where Dataflow's workers can't reach it: put it on gs://, got {path!r}"
        for key, path in _paths(job)
        if files.is_local(path)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    options = pipeline.options.view_as(GoogleCloudOptions)
    options.job_name = options.job_name or job_name(job)
    if options.template_location:
        _check_none_alive(job)
    elif not pipeline.options.view_as(TestOptions).dry_run:
        _check_none_at_work(pipeline, job)


def _paths(job: Job) -> Iterator[tuple[str, str]]:
    """Yields what workers read and write, with its key in the configuration."""
    yield "data_dir", job.directory
    yield "source.store", job.store
    for split, paths in job.annotations.items():
        yield from ((f"splits.{split}.annotations", path) for path in paths)
    yield from (("source.archives", archive.url) for archive in job.archives)
    if job.source.kind == "youtube" and job.source.youtube.cookies_file:
        yield "source.youtube.cookies_file", job.source.youtube.cookies_file


def job_name(job: Job) -> str:
    """Returns a name of letters, digits and hyphens that is the same for all runs that write to the same places.

    It ends with a digest of each place, so that one that shares a single place can be told, too: `fetch` fills the
    store that `run` may be filling.
    """
    what = "fetch" if job.fetch_only else "make"
    words = re.sub(r"[^a-z0-9]+", "-", f"kinetics-{what}-{job.name}".lower())[:40].strip("-")
    return "-".join((words, *map(_digest, _written(job))))


def _written(job: Job) -> list[str]:
    """Returns the folders that a job writes to, of which each may have one writer only."""
    output = [] if job.fetch_only else [job.directory]
    return output + [job.store] * job.source.fills_store


def _digest(place: str) -> str:
    return hashlib.blake2b(place.encode(), digest_size=4).hexdigest()


def run(pipeline: beam.Pipeline) -> None:
    """Submits a job and waits for its end.

    Raises:
      RunError: it could not be submitted, or there is no word of it any more.
      JobFailed: it failed.
      NoSummary: it was submitted and is left to itself (`--no_wait_until_finish`, a signal), was cancelled, or was only
        to be described (`--template_location`, `--dry_run`).
    """
    result = _submitted(pipeline)
    if not getattr(result, "has_job", False):
        template = pipeline.options.view_as(GoogleCloudOptions).template_location
        raise NoSummary(f"the job is described in {template}" if template else "dry run: nothing was submitted", 0)
    follow = _how_to_follow(result.job_id(), pipeline)
    print(f"Dataflow job {follow}", file=sys.stderr, flush=True)
    if pipeline.options.view_as(StandardOptions).no_wait_until_finish:
        raise NoSummary("it was submitted, and nobody waits for it: the status command tells how far it is", 0)
    ended: Future[str] = Future()
    threading.Thread(target=_wait, args=(pipeline.runner, result, ended), name="dataflow", daemon=True).start()
    while not ended.done():
        if stopping.wait(_POLL_S):
            raise NoSummary(
                f"not waited for any more, but the job goes on at Dataflow: {follow}\n"
                f"The status command tells how far it is. Once it has ended, {_GO_ON}",
                3,
            )
    if error := ended.exception():
        raise RunError(
            f"no word from Dataflow any more: {error}. The job may go on all the same: {follow}\n"
            f"The status command tells how far it is. Once it has ended, {_GO_ON}"
        ) from error
    state = ended.result()
    if state in (PipelineState.CANCELLED, PipelineState.DRAINED, PipelineState.UPDATED):
        raise NoSummary(f"the Dataflow job was {state.lower()}. What was made is kept: {_GO_ON}", 3)
    if state != PipelineState.DONE:
        why = getattr(pipeline.runner, "last_error_msg", None) or "it gave no reason"
        raise JobFailed(f"the Dataflow job failed: {why.strip()}\n{follow}")


def _submitted(pipeline: beam.Pipeline) -> Any:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

    with _refusals_told():
        try:
            return pipeline.run()
        except DataflowJobAlreadyExistsError as error:
            found = re.search(r"with id: (\S+?)\.? ", str(error))
            name = pipeline.options.view_as(GoogleCloudOptions).job_name
            raise _another_at_work(found[1] if found else "", name, pipeline) from error


def _check_none_at_work(pipeline: beam.Pipeline, job: Job) -> None:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient
    from google.cloud.dataflow import ListJobsRequest

    options = pipeline.options.view_as(GoogleCloudOptions)
    if not options.project or not options.region:
        return  # which Beam asks for
    places = set(map(_digest, _written(job)))
    request = ListJobsRequest(project_id=options.project, location=options.region, filter=ListJobsRequest.Filter.ACTIVE)
    with _refusals_told():
        # Its own `job_id_for_name` never ends where there is no such job.
        for active in DataflowApplicationClient(pipeline.options)._jobs_client.list_jobs(request):
            shares = active.name.startswith("kinetics-") and places.intersection(active.name.split("-"))
            if active.name == options.job_name or shares:
                raise _another_at_work(active.id, active.name, pipeline)


def _another_at_work(job_id: str, name: str, pipeline: beam.Pipeline) -> RunError:
    follow = _how_to_follow(job_id, pipeline)
    return RunError(f"another run is at work there, the Dataflow job {name}: {follow}\nWait for its end or cancel it")


def _check_none_alive(job: Job) -> None:
    for directory in (job.directory, job.fetch_directory):
        status = read_status(directory)
        if status and status.is_at_work:
            raise RunError(
                f"{directory}: another run is at work there, or was two minutes ago: its shards give signs of life. "
                "Wait for its end or cancel it"
            )


@contextlib.contextmanager
def _refusals_told() -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        raise RunError(
            f"Dataflow did not take the job: {error}. Nothing that was made is lost. Is the API enabled, who is logged "
            "in (gcloud auth application-default login), and may they create jobs and write to temp_location?"
        ) from error


def _wait(runner: Any, result: Any, ended: Future[str]) -> None:
    """Waits as `result.wait_until_finish` does, whose own thread takes with it why it lost sight of a job."""
    try:
        runner.poll_for_job_completion(runner, result, None)
        ended.set_result(result.state)
    except Exception as error:
        ended.set_exception(error)


def _how_to_follow(job_id: str, pipeline: beam.Pipeline) -> str:
    options = pipeline.options.view_as(GoogleCloudOptions)
    place = f"--region={options.region} --project={options.project}"
    return (
        f"{job_id}\n"
        f"  see it:     https://console.cloud.google.com/dataflow/jobs/{options.region}/{job_id}?project={options.project}\n"
        f"  cancel it:  gcloud dataflow jobs cancel {job_id} {place}"
    )
