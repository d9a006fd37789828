"""The command line, called in the process of the tests: one of its own imports Beam first, for two seconds."""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Sequence

from beam_pipeline import cli


def call(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Returns how `python -m beam_pipeline` with these words ends, and what it prints."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = cli.main(words)
        except SystemExit as ended:  # of the parser
            status = int(str(ended.code))
    return subprocess.CompletedProcess(list(words), status, output.getvalue(), errors.getvalue())
