"""Child processes: all cores, and a fence around whatever a stranger's file or site does to who reads it.

A Pebble pool of spawned children. Each task has a budget of CPU seconds, a wide wall-clock limit behind that, and a
memory limit. The kernel ends a child that overruns one: Pebble's own time limit would go by a clock that may be set. A
child that hangs, crashes or eats memory costs the one clip that it was at; the pool starts another. Children die with
their parent.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import multiprocessing
import os
import resource
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pebble import ProcessExpired, ProcessPool

from beam_pipeline.clips import ClipError
from beam_pipeline.errors import RunError

Key = TypeVar("Key")
_PR_SET_PDEATHSIG = 1
# Of the machine or its disks, not of a clip.
_RUN_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
)
_MAX_GIVEN_UP = 3
_TASKS_IN_FLIGHT_PER_WORKER = 3  # enough to keep children busy while the parent writes; waiting results are memory

stopping = threading.Event()
"""Set when the run is to end early: what is in flight is dropped, what remains is `not_attempted`."""


class PoolError(RunError):
    """The pool itself can't work, whatever the clip: the run must stop."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to run, and what it may use: CPU seconds, and wall-clock seconds behind them."""

    function: Callable[[Any], Any]
    argument: Any
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A task, its future, and the pool that has it."""

    task: Task
    future: Future
    pool: ProcessPool


class Pool(Protocol):
    """What a stage needs of a `ChildPool`."""

    def map(self, tasks: Iterable[tuple[Key, Task | None]]) -> Iterator[tuple[Key, Any]]:
        """Yields (key, result or `ClipError`) in the order of `tasks`."""


class ChildPool:
    """Runs functions of one argument in child processes, each within its own limits.

    Args:
      workers: how many children.
      memory_mib: address space that a task may add to what a child has when it is ready; None: as much as it wants.
      prepare: a picklable function that each child calls once, before it counts its memory: imports what tasks need.
    """

    def __init__(self, workers: int, memory_mib: int | None, prepare: Callable[[], None]):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # inherited by the children: one thread a process
        self._in_flight = workers * _TASKS_IN_FLIGHT_PER_WORKER
        self._new_pool = functools.partial(
            ProcessPool,
            max_workers=workers,
            initializer=_prepare_child,
            initargs=(os.getpid(), memory_mib, prepare),
            context=multiprocessing.get_context("spawn"),
        )
        self._lock = threading.Lock()
        self._given_up = 0  # pools in a row that never did anything
        self._start()
        _open_pools.add(self)

    def map(self, tasks: Iterable[tuple[Key, Task | None]]) -> Iterator[tuple[Key, Any]]:
        """Yields (key, result) in the order of `tasks`, a bounded number of which are under way at a time.

        Args:
          tasks: pairs of a key and a task, whose function is picklable; a task of None passes through as None.

        Yields:
          The key with what the function returned, or a `ClipError` that says why there is no result: the function's
          own, or `timeout`, `crashed`, `out_of_memory`, and `not_attempted` once `stopping` is set.

        Raises:
          PoolError: children can't be started or reached any more, or can't write what they should.
        """
        waiting: deque[tuple[Key, _Submitted | None]] = deque()
        pending = 0
        try:
            for key, task in tasks:
                submitted = self._submit(task) if task is not None else None
                pending += submitted is not None
                waiting.append((key, submitted))
                # What is done goes out before the next task is asked for, which may be long in coming.
                while waiting and ((head := waiting[0][1]) is None or head.future.done() or pending >= self._in_flight):
                    pending -= head is not None
                    yield self._finish(*waiting.popleft())
            while waiting:
                yield self._finish(*waiting.popleft())
        finally:
            for _, submitted in waiting:
                if submitted is not None:
                    submitted.future.cancel()

    def submit(self, task: Task) -> Future:
        """Hands over a task; `outcome` says what became of it once its future is done.

        Raises:
          PoolError: children can't be reached any more.
        """
        return self._submit(task).future

    def _submit(self, task: Task) -> _Submitted:
        while True:
            pool = self._pool
            try:
                return _Submitted(task, pool.schedule(_within_budget, args=(task,)), pool)
            except RuntimeError as error:
                self._replace(pool, error)

    def outcome(self, task: Task, future: Future) -> Any:
        """Returns what a finished task returned, or a `ClipError` that says why there is nothing; as `map`."""
        result = _result(task, future)
        if stopping.is_set() and isinstance(result, ClipError) and result.reason in ("crashed", "out_of_memory"):
            return _stopped()  # who stops a run, a batch system say, may have told its children too
        return result

    @property
    def active(self) -> bool:
        """Whether there are children: a task that never reached one is not told of the pool's end."""
        return self._pool.active

    def _finish(self, key: Key, submitted: _Submitted | None) -> tuple[Key, Any]:
        if submitted is None:
            return key, None
        while True:
            task, future, pool = submitted.task, submitted.future, submitted.pool
            while not future.done() and pool.active:
                if stopping.is_set():
                    future.cancel()
                    return key, _stopped()
                wait([future], timeout=0.5)
            if future.done() and not future.cancelled() and not isinstance(future.exception(), BrokenProcessPool):
                self._given_up = 0
                return key, self.outcome(task, future)
            self._replace(pool, future.exception() if future.done() and not future.cancelled() else None)
            submitted = self._submit(task)

    def _start(self) -> None:
        """Starts children.

        Raises:
          PoolError: they can't be started, also when that is tried again.
        """
        while True:
            pool, closed = self._new_pool(), threading.Event()
            ready: Future[None] = Future()
            owner = threading.Thread(target=_own_children, args=(pool, ready, closed), name="child-pool", daemon=True)
            owner.start()
            self._pool = pool
            self._finalizer = weakref.finalize(self, _close, pool, closed)
            try:
                ready.result()
                return
            except PoolError:
                self._finalizer()
                self._given_up += 1
                if self._given_up == _MAX_GIVEN_UP:
                    raise

    def _replace(self, pool: ProcessPool, why: BaseException | None) -> None:
        """Starts children anew where Pebble has given a pool up, as it does when a child dies while all are idle.

        Raises:
          PoolError: the pool was closed, or those that were started in its place did nothing either.
        """
        with self._lock:
            if pool is not self._pool:
                return  # another thread has done it
            self._given_up += 1
            if not self._finalizer.alive or self._given_up == _MAX_GIVEN_UP:
                raise PoolError(f"child processes are gone: {why or 'they were stopped'}")
            self._finalizer()
            self._start()

    def close(self) -> None:
        """Ends the children, whatever they are at; so does the end of the last reference to the pool."""
        self._finalizer()


def close_pools() -> None:
    """Ends the children of every pool of this process: Beam keeps the last one alive after a pipeline's end."""
    for pool in list(_open_pools):
        pool.close()


_open_pools: weakref.WeakSet[ChildPool] = weakref.WeakSet()


def _own_children(pool: ProcessPool, ready: Future, closed: threading.Event) -> None:
    """Starts the children in a thread that lives as long as the pool.

    The kernel's parent-death signal is sent when the *thread* that forked a child ends; a thread of Beam's that is
    retired after a quiet minute would take the children with it.
    """
    # Inherited by the children: a terminal sends Ctrl-C to them too, and those that are just starting would die of it.
    resource_tracker.ensure_running()  # unblocks it again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool.schedule(os.getpid).result()
        ready.set_result(None)
    except BaseException as error:
        ready.set_exception(PoolError(f"child processes can't start: {error}"))
    closed.wait()


def _close(pool: ProcessPool, closed: threading.Event) -> None:
    pool.stop()
    pool.join()
    closed.set()


def _stopped() -> ClipError:
    return ClipError("not_attempted", "the run was stopped before this clip was done")


def _result(task: Task, future: Future) -> Any:
    try:
        return future.result()
    except ClipError as error:
        return error
    except TimeoutError as error:  # the task's own
        return ClipError("timeout", f"waited in vain for a disk or a network: {error.strerror or 'no answer'}")
    except ProcessExpired as error:
        return _why_expired(error.exitcode, task)
    except MemoryError:
        return ClipError("out_of_memory", "needs more memory than limits.memory_mib allows")
    except (BrokenProcessPool, CancelledError) as error:
        raise PoolError(f"child processes are gone: {error}") from error
    except OSError as error:
        if error.errno not in _RUN_ERRORS:
            return _crashed(error)
        where = f"{error.filename}: " if error.filename else ""
        raise PoolError(
            f"{where}{error.strerror or error}. Nothing that was fetched is lost: mend it and run again"
        ) from error
    except Exception as error:  # whatever a library raises at one file is that file's fate
        return _crashed(error)


def _crashed(error: Exception) -> ClipError:
    return ClipError("crashed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _why_expired(exitcode: int, task: Task) -> ClipError:
    number = -exitcode if exitcode < 0 else 0
    if number == signal.SIGXCPU:
        return ClipError("timeout", f"used more CPU time than its budget ({task.cpu_s:.0f} s)")
    if number == signal.SIGALRM:
        return ClipError("timeout", f"took more wall-clock time than its limit ({task.wall_s:.0f} s)")
    if number == signal.SIGKILL:
        return ClipError("out_of_memory", "its process was killed by the kernel, which does so when memory runs out")
    name = signal.Signals(number).name if number in signal.valid_signals() else f"exit status {exitcode}"
    return ClipError("crashed", f"its process died ({name})")


def _prepare_child(parent: int, memory_mib: int | None, prepare: Callable[[], None]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    prepare()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mib is None:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory_mib * 2**20)


def _within_budget(task: Task) -> Any:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + task.cpu_s) + 1)  # SIGXCPU ends the child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the child, too
    signal.setitimer(signal.ITIMER_REAL, task.wall_s)
    try:
        return task.function(task.argument)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit(kind: int, soft: int) -> None:
    """Sets a soft limit, as far as the hard one goes that this process was given from outside."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
