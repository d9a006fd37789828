"""Room on the store's disk, which sources must not fill to the brim."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from beam_pipeline import files


def check_free(store: str, min_free_gib: float) -> None:
    """Checks that the disk of a local store has room left; object stores have no end.

    Args:
      store: the store's folder, which need not exist yet.
      min_free_gib: GiB that must be free.

    Raises:
      OSError: ENOSPC, less is free.
    """
    if not files.is_local(store):
        return
    folder = Path(store).absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    free_gib = shutil.disk_usage(folder).free / 2**30
    if free_gib < min_free_gib:
        raise OSError(
            errno.ENOSPC,
            f"{free_gib:.1f} GiB are free on the disk of the store {store}, and source.min_free_gib keeps "
            f"{min_free_gib:g} GiB free: make room (`prune` deletes clips whose records are finished and right)",
        )
