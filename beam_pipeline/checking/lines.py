"""Lines for people, in which names of files, clips and labels may be a stranger's."""

from __future__ import annotations

from collections.abc import Iterable

from beam_pipeline.terminal import shown


def text_of(lines: Iterable[str]) -> str:
    """Joins lines, each of which stays one, with nothing in it that a terminal obeys."""
    return "\n".join(map(one_line, lines))


def one_line(text: str) -> str:
    r"""Returns text with escapes (`\n`, `\x1b`) for what is not printable."""
    return shown(text).replace("\n", r"\n")
