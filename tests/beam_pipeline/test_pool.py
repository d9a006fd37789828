"""A task's hang, crash, gluttony or error costs that task alone."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.pool import ChildPool, PoolError, Task, stopping


@pytest.fixture(scope="module")
def pool() -> Iterator[ChildPool]:
    pool = ChildPool(workers=2, memory_mib=256, prepare=prepare)
    yield pool
    pool.close()


def prepare() -> None:
    """These tasks need nothing."""


def spin(_: object) -> None:
    while True:
        pass


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def segfault(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def devour(_: object) -> int:
    return len(bytearray(2**30))


def wait_in_vain(_: object) -> None:
    raise TimeoutError("a socket's own")


def give_up(_: object) -> None:
    raise ClipError("too_short", "0.2 s of footage")


def stumble(_: object) -> None:
    raise ValueError("a library's own\nerror")


def square(x: int) -> int:
    return x * x


def run(pool: ChildPool, function: object, argument: object = 0, cpu_s: float = 60, wall_s: float = 60) -> object:
    """Runs one task among healthy ones, which must all come back in order."""
    tasks = [(n, Task(square, n, 60, 60)) for n in range(4)]
    tasks.insert(2, ("odd", Task(function, argument, cpu_s, wall_s)))  # type: ignore[arg-type]
    results = list(pool.map(tasks))
    assert [key for key, _ in results] == [0, 1, "odd", 2, 3]
    assert [result for key, result in results if key != "odd"] == [0, 1, 4, 9]
    return dict(results)["odd"]


@pytest.mark.parametrize(
    ("function", "argument", "cpu_s", "wall_s", "reason"),
    [
        (spin, 0, 1, 60, "timeout"),
        (sleep, 60, 60, 1, "timeout"),
        (wait_in_vain, 0, 60, 60, "timeout"),
        (segfault, 0, 60, 60, "crashed"),
        (devour, 0, 60, 60, "out_of_memory"),
        (give_up, 0, 60, 60, "too_short"),
        (stumble, 0, 60, 60, "crashed"),
    ],
)
def test_misfortune_costs_one_task(
    pool: ChildPool, function: object, argument: object, cpu_s: float, wall_s: float, reason: str
) -> None:
    result = run(pool, function, argument, cpu_s, wall_s)
    assert isinstance(result, ClipError)
    assert result.reason == reason
    assert "\n" not in result.detail


def interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def stay_well_or_not() -> None:
    if "CHILDREN_CANT_START" in os.environ:
        os._exit(9)


def test_children_that_start_no_more_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ChildPool(workers=1, memory_mib=256, prepare=stay_well_or_not)
    try:
        monkeypatch.setenv("CHILDREN_CANT_START", "1")
        with pytest.raises(PoolError):
            list(pool.map((n, Task(segfault if n == 3 else square, n, 60, 60)) for n in range(100)))
    finally:
        pool.close()


def own_pid(_: object) -> int:
    return os.getpid()


def test_a_child_that_is_killed_while_all_are_idle_is_replaced() -> None:
    pool = ChildPool(workers=1, memory_mib=256, prepare=prepare)
    try:
        for _ in range(4):
            ((_, pid),) = pool.map([(0, Task(own_pid, 0, 60, 60))])
            os.kill(pid, signal.SIGKILL)
            while _alive(pid):
                time.sleep(0.01)
        assert [result for _, result in pool.map((n, Task(square, n, 60, 60)) for n in range(4))] == [0, 1, 4, 9]
    finally:
        pool.close()


def test_children_that_are_starting_do_not_die_of_ctrl_c() -> None:
    # A terminal sends SIGINT to every process of a run; here a child sends it to itself, as soon as it is there.
    pool = ChildPool(workers=1, memory_mib=256, prepare=interrupt)
    try:
        assert list(pool.map([(0, Task(square, 3, 60, 60))])) == [(0, 9)]
    finally:
        pool.close()


def lower_hard_limits(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def hard_limit(_: object) -> int:
    return resource.getrlimit(resource.RLIMIT_CPU)[1]


def test_limits_from_outside_stay() -> None:
    # As of a batch system's `ulimit -t`, which only root may raise again.
    pool = ChildPool(workers=1, memory_mib=256, prepare=prepare)
    try:
        tasks = [(0, Task(lower_hard_limits, 900, 60, 60)), (1, Task(hard_limit, 0, 3600, 60))]
        assert list(pool.map(tasks)) == [(0, None), (1, 900)]
    finally:
        pool.close()


def test_tasks_of_none_pass_in_their_place(pool: ChildPool) -> None:
    tasks = [(n, Task(square, n, 60, 60) if n % 3 else None) for n in range(30)]
    assert list(pool.map(tasks)) == [(n, n * n if n % 3 else None) for n in range(30)]


def test_stopping_leaves_the_rest_unattempted(pool: ChildPool) -> None:
    results = []
    try:
        for key, result in pool.map((n, Task(sleep, 0.2, 60, 60)) for n in range(50)):
            results.append((key, result))
            if key == 3:
                stopping.set()
    finally:
        stopping.clear()
    assert [key for key, _ in results] == list(range(50))
    assert all(result is None for _, result in results[:4])
    assert {result.reason for _, result in results if result is not None} == {"not_attempted"}


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            from beam_pipeline.pool import ChildPool, Task
            from tests.beam_pipeline.test_pool import prepare, spin
            if __name__ == "__main__":
                pool = ChildPool(workers=2, memory_mib=256, prepare=prepare)
                print([w.pid for w in __import__("multiprocessing").active_children()], flush=True)
                list(pool.map([(n, Task(spin, 0, 60, 60)) for n in range(2)]))
            """
        )
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        children = [int(pid) for pid in parent.stdout.readline().strip("[]\n").split(",")]
        time.sleep(1)
        parent.kill()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children
    assert not any(_alive(pid) for pid in children)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
