"""What a command answers whoever runs it: lines on a terminal, and an exit status."""

from __future__ import annotations

import sys
from typing import TextIO

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 0, 1, 2, 3


def fail(message: str, status: int) -> int:
    """Tells an error; returns the exit status that is given, for the command to return."""
    tell(f"error: {message}", sys.stderr)
    return status


def tell(text: str, stream: TextIO | None = None) -> None:
    """Prints text for people, without what a terminal obeys (programs get JSON as it is); None: on standard output."""
    print(shown(text), file=stream)


def shown(text: str) -> str:
    """Returns text without what a terminal obeys: names of files and records may be a stranger's."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )
