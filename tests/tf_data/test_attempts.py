"""What may fail is tried inside a map: left out on request, and TensorFlow has nothing to say of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tf_data import attempts
from tf_data.attempts import parallel_map, stateless

NEVER = np.array([2, 3, 7])


def numbers() -> tf.data.Dataset:
    return tf.data.Dataset.range(10).map(lambda number: (number, number * number))


def element(number: tf.Tensor, square: tf.Tensor) -> dict[str, Any]:
    """Fails for some; what it gives has all kinds of shapes."""
    tf.debugging.assert_none_equal(number, tf.constant(NEVER), message=f"one of {NEVER}")
    return {"square": square, "pair": (tf.fill([number], b"x"), tf.zeros([2, 3], tf.bfloat16))}


def mapped(*, skip: bool) -> tf.data.Dataset:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = True
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    return parallel_map(numbers(), element, 3, skip=skip).with_options(options)


def test_what_fails_is_left_out_on_request() -> None:
    kept = list(mapped(skip=True).as_numpy_iterator())
    assert [value["square"] for value in kept] == [0, 1, 16, 25, 36, 64, 81]
    assert [len(value["pair"][0]) for value in kept] == [0, 1, 4, 5, 6, 8, 9]


def test_otherwise_it_is_an_error_of_its_element() -> None:
    squares, errors = [], 0
    ds = iter(mapped(skip=False))
    for _ in range(10):
        try:
            squares.append(int(next(ds)["square"]))
        except tf.errors.InvalidArgumentError:
            errors += 1
    assert (squares, errors) == ([0, 1, 16, 25, 36, 64, 81], 3)


def test_elements_are_the_same_with_and_without_skipping() -> None:
    assert mapped(skip=True).element_spec == mapped(skip=False).element_spec


@pytest.mark.parametrize("position", range(8))
def test_a_checkpoint_of_what_skips_is_small_and_goes_on_exactly(tmp_path: Path, position: int) -> None:
    def read_on() -> Any:
        return iter(mapped(skip=True).prefetch(2))

    ds = read_on()
    for _ in range(position):
        next(ds)
    path = tf.train.Checkpoint(ds=ds).write(str(tmp_path / "checkpoint"))
    assert sum(file.stat().st_size for file in tmp_path.glob("checkpoint*")) < 10_000
    restored = read_on()
    tf.train.Checkpoint(ds=restored).read(path).assert_consumed()
    assert [int(value["square"]) for value in restored] == [0, 1, 16, 25, 36, 64, 81][position:]


def test_a_pass_in_which_nothing_works_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(number: tf.Tensor) -> tf.Tensor:
        tf.debugging.assert_less(number, tf.constant(0, tf.int64))
        return number

    monkeypatch.setattr(attempts, "MOST_FAILURES", 20)
    endless = tf.data.Dataset.range(10).map(lambda number: (number,)).repeat()
    with pytest.raises(tf.errors.InvalidArgumentError, match="20 records one after another could not be read"):
        next(iter(parallel_map(endless, broken, 2, skip=True)))


def first(number: tf.Tensor) -> tf.Tensor:
    numbers = tf.data.Dataset.range(number + tf.constant(5, tf.int64), number + 100)
    return numbers.map(lambda value: 2 * value).take(1).get_single_element()


def run(function: Callable[[tf.Tensor], tf.Tensor]) -> list[int]:
    options = tf.data.Options()
    options.experimental_symbolic_checkpoint = True
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    ds = tf.data.Dataset.range(10).map(function).with_options(options)
    gc.collect()
    return [int(value) for value in ds]


def test_a_function_without_the_mark_does_the_same() -> None:
    assert run(stateless(first, [tf.TensorSpec([], tf.int64)])) == run(first) == list(range(10, 30, 2))


def test_a_function_without_the_mark_is_not_logged_at_each_step() -> None:
    """In a process of its own, as TensorFlow takes for its life what level it logs."""
    command = [sys.executable, "-m", "tests.tf_data.test_attempts"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "1"}
    folder = Path(__file__).parents[2]
    log = subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, text=True).stderr
    marked, unmarked = log.split("without the mark\n")
    assert marked.count("is stateful") >= 10
    assert unmarked == ""


if __name__ == "__main__":
    run(first)
    unmarked = stateless(first, [tf.TensorSpec([], tf.int64)])
    print("without the mark", file=sys.stderr, flush=True)
    run(unmarked)
