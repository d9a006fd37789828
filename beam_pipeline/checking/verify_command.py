"""The command `verify`: which data sets are meant, and that no run is at work on them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline import files
from beam_pipeline.checking.verify_process import prepare_verifier
from beam_pipeline.checking.verifying import Verified, data_sets_in, mark, verify
from beam_pipeline.job import RunError, writing_to
from beam_pipeline.locks import not_written, written_by_one
from beam_pipeline.media.process import use_store_options
from beam_pipeline.pool import ChildPool, PoolError
from tf_data import contract


def verify_data_sets(
    folders: Sequence[str], splits: Sequence[str], marking: bool, beam_args: Sequence[str] = ()
) -> Iterator[Verified]:
    """Yields what is found of each data set in some folders, one after another, each read with all cores.

    Args:
      folders: of data sets or, on this machine, above them.
      splits: those to verify; none: all.
      marking: have the next run make anew what is broken.
      beam_args: pipeline options of Beam's, for folders that are remote.

    Raises:
      VerifyError: there is no data set, or not such a split of it.
      RunError: a run is at work there, or what is broken can't be marked.
    """
    options = PipelineOptions(list(beam_args)).get_all_options(drop_default=True)
    splits = [contract.canonical_split(split) for split in splits]
    if not all(map(files.is_local, folders)):
        use_store_options(options)
    for directory in [found for folder in folders for found in data_sets_in(folder)]:
        state_dir = files.join(directory, contract.STATE_DIR)
        with written_by_one(state_dir, "data_dir") if marking else not_written(state_dir):
            prepare = functools.partial(prepare_verifier, None if files.is_local(directory) else options)
            try:
                pool = ChildPool(len(os.sched_getaffinity(0)), None, prepare)
                try:
                    verified = verify(directory, splits, pool)
                finally:
                    pool.close()
            except PoolError as error:
                raise RunError(str(error)) from error
            with writing_to(directory):
                yield mark(verified) if marking else verified
