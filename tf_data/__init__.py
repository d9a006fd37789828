"""Reads sharded TFRecords of video clips as a `tf.data.Dataset`: `tf_data.load('k400', split='train')`.

`tf_data.contract` alone imports no TensorFlow, so that the writing side can share it; everything else is loaded when
it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_data.augment import ColourJitter as ColourJitter
    from tf_data.augment import Greyscale as Greyscale
    from tf_data.augment import Mix as Mix
    from tf_data.augment import RandAugment as RandAugment
    from tf_data.augment import RandomErasing as RandomErasing
    from tf_data.catalog import DatasetNotFoundError as DatasetNotFoundError
    from tf_data.info import Info as Info
    from tf_data.loading import load as load
    from tf_data.model_input import to_model_input as to_model_input
    from tf_data.numpy_batches import as_numpy as as_numpy
    from tf_data.presets import PRESETS as PRESETS
    from tf_data.presets import Preset as Preset
    from tf_data.source import ReadConfig as ReadConfig
    from tf_data.views import Views as Views

_MODULE_OF = {
    "PRESETS": "tf_data.presets",
    "ColourJitter": "tf_data.augment",
    "DatasetNotFoundError": "tf_data.catalog",
    "Greyscale": "tf_data.augment",
    "Info": "tf_data.info",
    "Mix": "tf_data.augment",
    "Preset": "tf_data.presets",
    "RandAugment": "tf_data.augment",
    "RandomErasing": "tf_data.augment",
    "ReadConfig": "tf_data.source",
    "Views": "tf_data.views",
    "as_numpy": "tf_data.numpy_batches",
    "load": "tf_data.loading",
    "to_model_input": "tf_data.model_input",
}
__all__ = [
    "PRESETS",
    "ColourJitter",
    "DatasetNotFoundError",
    "Greyscale",
    "Info",
    "Mix",
    "Preset",
    "RandAugment",
    "RandomErasing",
    "ReadConfig",
    "Views",
    "as_numpy",
    "load",
    "to_model_input",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tf_data' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
