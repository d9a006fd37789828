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
