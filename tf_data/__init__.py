"""Reads sharded TFRecords of video clips as a `tf.data.Dataset`: `tf_data.load('k400', split='train')`.

`tf_data.contract` alone imports no TensorFlow, so that the writing side can share it; everything else is loaded when
it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_data.catalog import DatasetNotFoundError as DatasetNotFoundError
    from tf_data.info import Info as Info
    from tf_data.loading import ReadConfig as ReadConfig
    from tf_data.loading import load as load

_MODULE_OF = {
    "DatasetNotFoundError": "tf_data.catalog",
    "Info": "tf_data.info",
    "ReadConfig": "tf_data.loading",
    "load": "tf_data.loading",
}
__all__ = ["DatasetNotFoundError", "Info", "ReadConfig", "load"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tf_data' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
