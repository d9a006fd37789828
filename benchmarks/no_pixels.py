"""The job with a stand-in for pixels that costs nothing, for `benchmarks/scale.py`.

    SHUFFLED=FILE python -m benchmarks.no_pixels run …

is `python -m beam_pipeline run …`, graph, pool and all, but that a clip's file is never opened: in its decoding process
every clip becomes a record of the same grey frame. What crosses the GroupByKeys is counted where Beam's local runner
keeps it, and written to FILE.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from beam_pipeline.media.task import ClipTask, EncodedClip
from tf_data import contract

_HEIGHT, _WIDTH = 256, 340


@functools.cache
def _frame() -> bytes:
    import numpy as np
    import simplejpeg

    grey = np.full((_HEIGHT, _WIDTH, 3), 128, np.uint8)
    return simplejpeg.encode_jpeg(grey, quality=50, colorsubsampling="420")


def encode_nothing(task: ClipTask) -> EncodedClip:
    """Returns a record of one grey frame with a clip's own id and label."""
    from beam_pipeline.records import sequence_example

    clip, prefix = task.clip, contract.IMAGE_PREFIX
    context = {
        contract.EXAMPLE_ID: clip.clip_id,
        contract.LABEL_INDEX: task.label_index,
        contract.LABEL_STRING: clip.label,
        contract.LABEL_TEXT: clip.label,
        f"{prefix}/height": _HEIGHT,
        f"{prefix}/width": _WIDTH,
        f"{prefix}/frame_rate": 25.0,
    }
    record = sequence_example(context, {contract.IMAGE_ENCODED: [_frame()], contract.IMAGE_TIMESTAMP: [0]})
    return EncodedClip(0, record, num_frames=1, duration_s=10.0, width=_WIDTH, height=_HEIGHT)


def main() -> int:
    from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer

    from beam_pipeline import shards
    from beam_pipeline.cli import main as command_line
    from benchmarks import no_pixels  # by its name: children can't find what is in __main__

    shards.run_clip_task = no_pixels.encode_nothing  # type: ignore[assignment]
    shuffled = 0
    append = GroupingBuffer.append

    def counting(self: GroupingBuffer, elements_data: bytes) -> None:
        nonlocal shuffled
        shuffled += len(elements_data)
        append(self, elements_data)

    GroupingBuffer.append = counting
    status = command_line(sys.argv[1:])
    Path(os.environ["SHUFFLED"]).write_text(str(shuffled))
    return status


if __name__ == "__main__":
    sys.exit(main())
