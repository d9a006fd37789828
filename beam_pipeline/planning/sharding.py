"""How many shards: enough that none takes long or gets huge, and no more.

A shard is made by one process and can't be split, so that its work is what a fault costs and what everybody waits for
at the end: 5 to 15 minutes. Its file is what readers open and copy: some 100 MB to 1 GB. Where both can't be had, work
is kept from growing and the file from growing; cheap clips then make shards of less than 5 minutes.
"""

from __future__ import annotations

import math

MIN_WORK_S, AIM_WORK_S, MAX_WORK_S = 300.0, 600.0, 900.0
MIN_FILE_BYTES, MAX_FILE_BYTES = 1e8, 1e9
MAX_SHARDS = 100_000
_FEW_SHARDS = 16  # never too many, however small they are
_TOLERANCE = 2.0  # "some 100 MB to 1 GB": a file twice as large, or half as small, is no mistake
# Round numbers, so that a count is kept when a few clips come or go.
_COUNTS = sorted({2**k for k in range(17)} | {3 * 2**k for k in range(16)})


def proposed_shards(clips: float, work_s: float, file_bytes: float) -> int:
    """Returns the number of shards to make a split of.

    Args:
      clips: that become records.
      work_s: processor seconds of all of them.
      file_bytes: of all their records.
    """
    aim = max(work_s / AIM_WORK_S, file_bytes / MAX_FILE_BYTES)
    if file_bytes / MIN_FILE_BYTES < aim:  # small files of much work: as few as the work allows
        aim = max(work_s / MAX_WORK_S, file_bytes / MIN_FILE_BYTES)
    least = max(work_s / MAX_WORK_S, file_bytes / MAX_FILE_BYTES)
    counts = [count for count in _COUNTS if least <= count <= min(max(clips, 1), MAX_SHARDS)]
    if not counts:
        return max(1, min(math.floor(clips), MAX_SHARDS))
    return min(counts, key=lambda count: abs(math.log(count / max(aim, 1e-9))))


def more_than_clips(shards: int, clips: float) -> str:
    """Returns that there are more shards than clips, for people; '' where there aren't."""
    if shards == 1 or shards <= clips:
        return ""
    return f"more than there are clips ({clips:,.0f}), so that some stay empty"


def what_is_wrong(shards: int, clips: float, work_s: float, file_bytes: float) -> str:
    """Returns why a number of shards is not a good one, for people; '' where it is.

    Args:
      shards: the number.
      clips: as `proposed_shards`, and so are the next.
      work_s: processor seconds.
      file_bytes: bytes.
    """
    work, size = work_s / shards, file_bytes / shards
    if too_many := more_than_clips(shards, clips):
        return too_many
    if work > MAX_WORK_S:
        return f"{work / 60:,.0f} minutes of work each, more than 15: that is what a fault costs and the last one takes"
    if size > MAX_FILE_BYTES * _TOLERANCE:
        return f"files of {size / 1e9:,.1f} GB each, above some 1 GB: slow to copy, and few to spread over readers"
    if shards > _FEW_SHARDS and work < MIN_WORK_S and size < MIN_FILE_BYTES / _TOLERANCE:
        return f"{work:,.0f} s of work and {size / 1e6:,.1f} MB each: many small files, which cost more than they give"
    return ""
