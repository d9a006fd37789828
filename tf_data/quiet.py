"""TensorFlow for programs of a command line, without what it tells of the machine when it is loaded."""

from __future__ import annotations

import importlib
import os
import sys


def load_tensorflow() -> None:
    """Loads TensorFlow while standard error goes nowhere, native code's too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
