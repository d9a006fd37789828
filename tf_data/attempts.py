"""Attempts: what may fail is tried inside the function of a map, so that checkpoints stay small and the log quiet.

There an error is caught by `ignore_errors` of a data set of one element. Around the whole pipeline that would rule out
checkpoints of a few kilobytes: TensorFlow saves an iterator by its place or by all that it holds, and for
`ignore_errors` it only knows the second way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

MOST_FAILURES = 10_000  # a shard holds some hundreds of records, and may be lost as a whole


def num_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(
    ds: tf.data.Dataset, function: Callable[..., Any], num_parallel_calls: int, *, skip: bool
) -> tf.data.Dataset:
    """Maps the tuples of a data set, in their order.

    Args:
      ds: yields tuples.
      function: from the tensors of a tuple to an element.
      num_parallel_calls: elements under way at once.
      skip: what fails is logged and left out, and the cardinality is then unknown; else it is an error of its element.
        `MOST_FAILURES` one after another are an error all the same.
    """
    function = tf.autograph.experimental.do_not_convert(function)  # seconds, to find nothing to convert
    if not skip:
        return ds.map(function, num_parallel_calls=num_parallel_calls, deterministic=True)
    spec = ds.map(function).element_spec

    def attempt(*element: tf.Tensor) -> tf.experimental.Optional:
        one = tf.data.Dataset.from_tensors(element).map(
            lambda *values: tf.experimental.Optional.from_value(function(*values))
        )
        none = tf.data.Dataset.from_tensors(tf.experimental.Optional.empty(spec))
        return one.ignore_errors(log_warning=True).concatenate(none).take(1).get_single_element()

    quiet = stateless(attempt, tf.nest.flatten(ds.element_spec))
    attempts = ds.map(quiet, num_parallel_calls=num_parallel_calls, deterministic=True)
    counted = attempts.scan(tf.constant(0, tf.int64), _count_failures)
    successes = counted.filter(lambda made: made.has_value())
    return successes.map(lambda made: made.get_value())


@tf.autograph.experimental.do_not_convert
def _count_failures(failures: tf.Tensor, made: tf.experimental.Optional) -> tuple[tf.Tensor, tf.experimental.Optional]:
    """Counts failures one after another, and stops where nothing seems to work: a pass without end would hang."""
    failures = tf.where(made.has_value(), tf.constant(0, tf.int64), failures + 1)
    message = (
        f"on_error='skip': {MOST_FAILURES} records one after another could not be read; the log says why of each. "
        "Pass on_error='raise' to stop at the first"
    )
    with tf.control_dependencies([tf.debugging.Assert(failures < MOST_FAILURES, [message])]):
        return tf.identity(failures), made


def stateless(function: Callable[..., Any], signature: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    """Returns `function`, which takes elements out of data sets, without the mark of being stateful.

    TensorFlow marks as stateful what takes an element out of a data set, whichever that is, and each function that
    does so. Where checkpoints are small, a map of such a function logs that its state is not saved, once for each
    element, and no option prevents it. So the function is traced, the mark removed, and it is imported again.

    Args:
      function: of tensors; whatever it does depends on them alone.
      signature: of its arguments.
    """
    traced = tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(value.dtype, value.shape) for value in traced.inputs]
        tf.raw_ops.PartitionedCall(args=inputs, Tout=[value.dtype for value in traced.outputs], f=traced)
    definition = graph.as_graph_def()
    call = next(node for node in definition.node if node.op == "PartitionedCall")
    name = call.attr["f"].func.name
    marked = next(function for function in definition.library.function if function.signature.name == name)
    marked.signature.is_stateful = False
    marked.signature.name = call.attr["f"].func.name = f"{name}_stateless"
    # `wrap_function` makes it known to TensorFlow; called by its name, it is not a call inside another at each step.
    tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(definition, name=""), [])

    def called(*arguments: tf.Tensor) -> Any:
        results = tf.raw_ops.PartitionedCall(
            args=[*arguments, *traced.captured_inputs],
            Tout=[value.dtype for value in traced.outputs],
            f=call.attr["f"].func,
        )
        for result, value in zip(results, traced.outputs, strict=True):
            result.set_shape(value.shape)
        return tf.nest.pack_sequence_as(traced.structured_outputs, results, expand_composites=True)

    return called
