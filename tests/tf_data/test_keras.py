"""The data set is what Keras takes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

import tf_data


def test_a_model_trains_and_evaluates_on_it(data_dir: Path) -> None:
    load = {"data_dir": data_dir, "num_frames": 4, "crop_size": 16, "batch_size": 4, "as_supervised": True, "seed": 0}
    train = tf_data.load("fake", split="train", streams=["rgb", "flow"], **load)
    val = tf_data.load("fake", split="val", streams=["rgb", "flow"], **load)
    inputs = {
        "rgb": keras.Input((None, 16, 16, 3), name="rgb"),
        "flow": keras.Input((None, 16, 16, 2), name="flow"),
    }
    pooled = [keras.layers.GlobalAveragePooling3D()(stream) for stream in inputs.values()]
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Concatenate()(pooled)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    history = model.fit(train, validation_data=val, epochs=2, verbose=0).history

    assert len(history["loss"]) == 2
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    assert history["loss"][0] != history["loss"][1]
    assert model.predict(val, verbose=0).shape == (5, 4)


def test_a_model_that_normalises_on_the_device_trains_as_one_that_is_given_numbers(data_dir: Path) -> None:
    def losses(dtype: str) -> list[float]:
        asked = {"data_dir": data_dir, "num_frames": 4, "crop_size": 16, "batch_size": 4, "as_supervised": True}
        train = tf_data.load("fake", split="train", dtype=dtype, seed=0, **asked)
        val = tf_data.load("fake", split="val", dtype=dtype, **asked)
        if dtype == "uint8":
            train, val = (ds.map(lambda x, y: (tf_data.to_model_input(x, "i3d")["rgb"], y)) for ds in (train, val))
        keras.utils.set_random_seed(1)
        pooled = keras.layers.GlobalAveragePooling3D()
        model = keras.Sequential([keras.Input((4, 16, 16, 3)), pooled, keras.layers.Dense(4)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        history = model.fit(train, validation_data=val, epochs=3, verbose=0).history
        return history["loss"] + history["val_loss"]

    np.testing.assert_allclose(losses("uint8"), losses("float32"), rtol=1e-4)
