"""Engines that a job is submitted to: a wait for its end, and a signal that cancels it there."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState, create_runner

from beam_pipeline.dataflow import JobFailed
from beam_pipeline.errors import RequestError
from beam_pipeline.pool import stopping

LOCAL_RUNNERS = (None, "DirectRunner", "FnApiRunner")
"""What asks for this machine: "DirectRunner" itself means an engine that changes with the network and the graph."""

_POLL_S = 0.5


def new_pipeline(options: PipelineOptions, runner: PipelineRunner | None = None) -> beam.Pipeline:
    """Returns an empty pipeline for a runner, or for that which the options name.

    Raises:
      RequestError: there is no such runner here, or it refuses an option.
    """
    try:
        return beam.Pipeline(runner, options)
    except (ValueError, ImportError) as error:
        raise RequestError(f"--runner={options.view_as(StandardOptions).runner}: {error}") from error


def check_runner(name: str | None) -> None:
    """Raises `RequestError` where Beam has no such runner; one that lacks packages here may have them elsewhere."""
    try:
        create_runner(name or "FnApiRunner")
    except ValueError as error:
        raise RequestError(f"--runner={name}: {error}") from error
    except ImportError:
        pass


def run(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline to its end; one that goes on outside this process is cancelled where the run is stopped.

    Raises:
      KeyboardInterrupt: it was cancelled.
      JobFailed: the engine did not take the job, or gave it up.
      Exception: our own, where ours is the engine.
    """
    result = _submitted(pipeline)
    if PipelineState.is_terminal(result.state):  # ours works while it submits, and stops by itself
        return
    ended = threading.Event()
    threading.Thread(target=_cancel_when_stopped, args=(result, ended), name="cancel", daemon=True).start()
    try:
        result.wait_until_finish()
    except Exception as error:
        if stopping.is_set():
            raise KeyboardInterrupt from error
        if type(error).__module__.startswith(__package__):  # Dask hands over what a worker raised
            raise
        raise JobFailed(f"the job failed, and what was made is kept: {error}") from error
    finally:
        ended.set()
    if stopping.is_set():
        raise KeyboardInterrupt


def _submitted(pipeline: beam.Pipeline) -> PipelineResult:
    if not isinstance(pipeline.runner, PortableRunner):
        return pipeline.run()
    try:
        with _interrupts_kept_from_job_servers():
            return pipeline.run()
    except Exception as error:  # from a missing jar to a cluster that nobody answers for
        raise JobFailed(f"{type(pipeline.runner).__name__} did not take the job: {error}") from error


def _cancel_when_stopped(result: PipelineResult, ended: threading.Event) -> None:
    while not ended.is_set():
        if stopping.wait(_POLL_S):
            logging.getLogger("apache_beam.runners.worker").setLevel(logging.CRITICAL + 1)  # of work taken from them
            with contextlib.suppress(Exception):  # it has come to its end meanwhile
                result.cancel()
            return


@contextlib.contextmanager
def _interrupts_kept_from_job_servers() -> Iterator[None]:
    """A terminal's Ctrl-C goes to the job server, too, which then could not cancel a job on a cluster any more.

    What is ignored here is ignored by a program that is started meanwhile. Beam then puts a handler of its own in place
    of ours, which would end the job server.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
