"""The commands of docs/engines/, which are what the tests run."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "engines"


def commands(page: str, heading: str) -> str:
    """Returns the commands under a heading of a page: its indented lines."""
    text = (DOCS / f"{page}.md").read_text()
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{page}.md has no section {heading!r}"
    lines = [line[4:] for line in section[1].splitlines() if line.startswith("    ")]
    assert lines, f"{page}.md, {heading}: no commands"
    return "\n".join(lines) + "\n"
