"""The command `inspect`: a page of a data set, in files or served."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from beam_pipeline import files
from beam_pipeline.command_options import reads_data_sets
from beam_pipeline.errors import RequestError
from beam_pipeline.inspecting import DEFAULT_PREVIEWS
from beam_pipeline.inspecting.rows import read_rows
from beam_pipeline.inspecting.server import make_server
from beam_pipeline.inspecting.site import check_folder, write_site
from beam_pipeline.terminal import EXIT_OK, tell


def main(arguments: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Writes or serves a data set's page; returns the exit status."""
    previews, overwrite = arguments.previews, arguments.overwrite
    if arguments.out is None and (overwrite or previews is not None):
        raise RequestError(f"--{'overwrite' if overwrite else 'previews'} is of --out DIR, which is not there")
    return _show(arguments, beam_args)


@reads_data_sets
def _show(arguments: argparse.Namespace) -> int:
    folder, splits, out = arguments.folder, arguments.split, arguments.out
    if out is None:
        serve(folder, splits, arguments.serve)
    else:
        previews = DEFAULT_PREVIEWS if arguments.previews is None else arguments.previews
        page = inspect_to_files(folder, splits, out, previews, arguments.overwrite)
        tell(f"{page}: open it in a browser")
    return EXIT_OK


def inspect_to_files(folder: str, splits: Sequence[str], out: str, num_previews: int, overwrite: bool) -> Path:
    """Writes a data set's page to a folder of this machine; returns the file to open.

    Raises:
      DataSetError: there is no such data set or split, or it is damaged.
      RequestError: the folder can't be written to.
      OSError: something can't be read or written.
    """
    if not files.is_local(out):
        raise RequestError(f"--out {out}: must be a folder of this machine, from which it can be copied anywhere")
    check_folder(Path(out), overwrite)
    rows = read_rows(folder, splits)
    total = min(num_previews, sum(int(split.written.sum()) for split in rows))
    with tqdm(total=total, unit=" previews", disable=not sys.stderr.isatty()) as bar:
        return write_site(rows, Path(out), num_previews, overwrite, on_preview=bar.update)


def serve(folder: str, splits: Sequence[str], port: int) -> None:
    """Serves a data set's page on this machine until it is interrupted.

    Raises:
      DataSetError: there is no such data set or split, or it is damaged.
      RequestError: the port is taken.
      OSError: something can't be read.
    """
    server = make_server(lambda: read_rows(folder, splits), port)
    print(f"http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
