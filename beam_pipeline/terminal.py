"""What a command answers whoever runs it: lines on a terminal, and an exit status."""

from __future__ import annotations

import io
import sys
from typing import TextIO

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 0, 1, 2, 3


def prepare_output(for_programs: bool) -> None:
    """Lets nothing fail for characters that a terminal's encoding lacks: they are escaped; programs are given UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a caller in this process may have put something else there
            stream.reconfigure(encoding="utf-8" if for_programs else None, errors="backslashreplace")


def fail(message: str, status: int) -> int:
    """Tells an error; returns the exit status that is given, for the command to return."""
    tell(f"error: {message}", sys.stderr)
    return status


def tell(text: str, stream: TextIO | None = None) -> None:
    """Prints text for people, without what a terminal obeys (programs get JSON as it is); None: on standard output."""
    print(shown(text), file=stream)


def with_hint(message: str) -> str:
    """Adds to a message of argparse's how to give a value that it did not see, as one that begins with -."""
    return f"{message}: write it as in --option=value" if message.endswith("expected one argument") else message


def shown(text: str) -> str:
    """Returns text without what a terminal obeys: names of files and records may be a stranger's."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
