"""How a decoding process's memory goes from one clip to the next."""

from __future__ import annotations

import ctypes

# mallopt's parameters (malloc.h), and the largest mmap threshold that glibc takes.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP_BYTES = 32 << 20
_TRIM_BYTES = 256 << 20


def reuse_freed_memory() -> None:
    """Has glibc keep what a clip frees for the next one, in this process and from now on.

    Otherwise every clip's 20 MB of images and record come from the kernel anew, page by page, each page zeroed: a tenth
    of what a 340×256 clip costs (benchmarks/producer.py). Does nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
