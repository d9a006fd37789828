"""Files that somebody asks for by name: nothing of theirs is overwritten, and none is ever there in part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from beam_pipeline.errors import RequestError


def check_is_new(path: Path, overwrite: bool) -> None:
    """Raises `RequestError` where a file is there that must not be replaced, or a folder."""
    if path.is_dir():
        raise RequestError(f"{path}: is a folder")
    if path.exists() and not overwrite:
        raise RequestError(f"{path}: is there already; name another file, or replace it with --overwrite")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which becomes `path` at the end of the block, and goes where that fails.

    Folders are made. The temporary is there from the beginning, so that a place where nothing can be written is told
    before the work and not after it.

    Raises:
      OSError: the file can't be written; its `filename` is `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of an earlier process, or a link that somebody put there
        temporary.touch(exist_ok=False)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"can't be written: {error.strerror or error}", str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
