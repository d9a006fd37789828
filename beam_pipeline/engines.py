"""Engines that a job is submitted to: a wait for its end, and a signal that cancels it there."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineState

from beam_pipeline.pool import stopping

_POLL_S = 0.5


def run(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline to its end; one that goes on outside this process is cancelled where the run is stopped.

    Raises:
      KeyboardInterrupt: it was cancelled.
      Exception: whatever the runner says of a job that failed.
    """
    with _interrupts_kept_from_job_servers(pipeline):
        result = pipeline.run()
    if PipelineState.is_terminal(result.state):  # ours works while it submits, and stops by itself
        return
    ended = threading.Event()
    threading.Thread(target=_cancel_when_stopped, args=(result, ended), name="cancel", daemon=True).start()
    try:
        result.wait_until_finish()
    except Exception as error:
        if stopping.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        ended.set()
    if stopping.is_set():
        raise KeyboardInterrupt


def _cancel_when_stopped(result: PipelineResult, ended: threading.Event) -> None:
    while not ended.is_set():
        if stopping.wait(_POLL_S):
            logging.getLogger("apache_beam.runners.worker").setLevel(logging.CRITICAL + 1)  # of work taken from them
            with contextlib.suppress(Exception):  # it has come to its end meanwhile
                result.cancel()
            return


@contextlib.contextmanager
def _interrupts_kept_from_job_servers(pipeline: beam.Pipeline) -> Iterator[None]:
    """A terminal's Ctrl-C goes to the job server, too, which then could not cancel a job on a cluster any more.

    What is ignored here is ignored by a program that is started meanwhile. Beam then puts a handler of its own in place
    of ours, which would end the job server.
    """
    if not isinstance(pipeline.runner, PortableRunner):
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
