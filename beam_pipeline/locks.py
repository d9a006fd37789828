"""Locks that keep runs out of each other's way on one machine; the kernel lets go of them however a process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from beam_pipeline import files
from beam_pipeline.errors import RunError

LOCK_FILE = "lock"


@contextlib.contextmanager
def written_by_one(folder: str, key: str) -> Iterator[None]:
    """Keeps other runs from writing what `folder`, of a local store or output, belongs to.

    Args:
      folder: is made where it is not there, and gets a lock file. A remote one has no locks.
      key: of the configuration, which says where it is.

    Raises:
      RunError: another run has the lock, or there can be none.
    """
    if not files.is_local(folder):
        yield
        return
    path = Path(folder, LOCK_FILE)
    place = path.parent.parent
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise RunError(f"{place}: can't be written: {error.strerror}. Choose another {key}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = "verify is reading what is" if _is_read(file) else "another run is at work"
            raise RunError(f"{place}: {who} there; wait for its end or stop it") from None
        except OSError as error:
            raise RunError(
                f"{path}: can't be locked, which keeps a second run out: {error.strerror}. Choose a {key} on a file "
                "system with locks, and copy what is made from there"
            ) from error
        yield


def _is_read(file: IO) -> bool:
    """Whether those that hold a lock are readers (`not_written`), which let others read."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def not_written(folder: str) -> Iterator[None]:
    """Keeps runs from writing what `folder` belongs to, without writing there: where no run has been, nothing is kept.

    Args:
      folder: as of `written_by_one`.

    Raises:
      RunError: a run is at work there.
    """
    with contextlib.ExitStack() as stack:
        if files.is_local(folder):
            with contextlib.suppress(OSError):
                file = stack.enter_context(Path(folder, LOCK_FILE).open())
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise RunError(
                        f"{Path(folder).parent}: a run is at work there; wait for its end or stop it"
                    ) from None
        yield


@contextlib.contextmanager
def read_by_many(store: str, exclude: bool = False) -> Iterator[None]:
    """Keeps a local store's clips from being deleted while runs read them.

    The lock is on the folder itself, which runs may not be able to write; where it can't be had, nothing is kept out.

    Args:
      store: the store's folder.
      exclude: keep readers out instead.

    Raises:
      RunError: somebody is at work there who must not be.
    """
    if not files.is_local(store) or not Path(store).is_dir():
        yield
        return
    folder = os.open(store, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(folder, (fcntl.LOCK_EX if exclude else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                what = "a run reads its clips" if exclude else "its clips are being deleted"
                raise RunError(f"{store}: {what}; wait for the end of that, or stop it") from None
        yield
    finally:
        os.close(folder)
