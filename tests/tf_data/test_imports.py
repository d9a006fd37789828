"""The reader does without the job, and the contract without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tf_data


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_contract_loads_neither_tensorflow_nor_beam() -> None:
    loaded = _loaded_after("import tf_data.contract")
    assert "tf_data" in loaded
    assert not loaded & {"tensorflow", "apache_beam", "beam_pipeline", "numpy"}


def test_the_reader_loads_neither_the_job_nor_what_it_needs() -> None:
    loaded = _loaded_after("from tf_data import load")
    assert "tensorflow" in loaded
    assert not loaded & {"apache_beam", "beam_pipeline", "av", "simplejpeg"}


def test_every_public_name_is_there() -> None:
    assert all(getattr(tf_data, name) for name in tf_data.__all__)


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'laod'; it has .*load"):
        _ = tf_data.laod
