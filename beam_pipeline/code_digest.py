"""What the code is, for machines that run it together to tell whether they have the same."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable

from beam_pipeline.errors import RunError


@functools.cache
def code_digest() -> str:
    """Returns a digest of all modules of `beam_pipeline` and `tf_data`, however they are installed."""
    digest = hashlib.blake2b(digest_size=16)
    for package in ("beam_pipeline", "tf_data"):
        for name, module in _modules(importlib.resources.files(package), package):
            digest.update(f"{name}\0".encode() + module.read_bytes() + b"\0")
    return digest.hexdigest()


def check_same_code(digest: str) -> None:
    """Checks on a worker that it has the code of the machine that started the run; an empty digest is anybody's.

    Raises:
      RunError: it has another.
    """
    if digest and digest != code_digest():
        raise RunError(
            "workers have another version of beam_pipeline than the machine that started this run: build their image "
            "anew from the same checkout, or send them the code with --extra_package"
        )


def _modules(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _modules(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            yield f"{name}/{entry.name}", entry
