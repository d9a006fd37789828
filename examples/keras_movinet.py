"""Trains a small MoViNet (Kondratyuk et al., https://arxiv.org/abs/2103.11511) in Keras: causal in time, 2D + 1D.

    python examples/keras_movinet.py k400 --data_dir /data/tfrecords --size 172 --num_frames 50 --fps 5
    python examples/keras_movinet.py demo --data_dir demo --flip_probability 0

The second one is for the data set of `make demo`.
"""

import argparse
from collections.abc import Sequence

import keras
from keras import layers

import tf_data

# (channels, blocks, stride in space of the first one), as MoViNet-A0's table 1 at a third of its width.
STAGES = ((16, 1, 2), (24, 2, 2), (32, 2, 2))
TIME_KERNEL = 5


def build(num_frames: int, size: int, num_classes: int) -> keras.Model:
    """Returns a model from (batch, num_frames, size, size, 3) in [-1, 1] to logits (batch, num_classes)."""
    clip = keras.Input((num_frames, size, size, 3))
    x = _normed(layers.TimeDistributed(layers.Conv2D(16, 3, 2, "same", use_bias=False))(clip))
    for channels, blocks, stride in STAGES:
        for number in range(blocks):
            x = _block(x, channels, stride if number == 0 else 1)
    x = layers.GlobalAveragePooling3D()(_normed(layers.Dense(128, use_bias=False)(x)))
    return keras.Model(clip, layers.Dense(num_classes)(layers.Dropout(0.2)(x)))


def _block(x: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    """An inverted bottleneck: widen, look around in space and back in time, squeeze and excite, narrow."""
    y = _normed(layers.Dense(3 * channels, use_bias=False)(x))
    y = _normed(layers.TimeDistributed(layers.DepthwiseConv2D(3, stride, "same", use_bias=False))(y))
    frames, height, width, wide = y.shape[1:]
    y = layers.Reshape((frames, height * width, wide))(y)  # time and places, for a depthwise convolution of time alone
    y = layers.ZeroPadding2D(((TIME_KERNEL - 1, 0), (0, 0)))(y)  # of the past: no frame sees a later one
    y = _normed(layers.DepthwiseConv2D((TIME_KERNEL, 1), use_bias=False)(y))
    y = layers.Reshape((frames, height, width, wide))(y)
    squeezed = layers.GlobalAveragePooling3D(keepdims=True)(y)
    y = y * layers.Dense(wide, "hard_sigmoid")(layers.Dense(wide // 4, "hard_silu")(squeezed))
    y = layers.BatchNormalization(momentum=0.9)(layers.Dense(channels, use_bias=False)(y))
    return x + y if x.shape == y.shape else y


def _normed(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("hard_silu")(layers.BatchNormalization(momentum=0.9)(x))


def main(argv: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Trains, evaluates after each epoch, and returns Keras' history of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the data set, as in tf_data.load")
    parser.add_argument("--data_dir")
    parser.add_argument("--size", type=int, default=64, help="side of a crop in pixels")
    parser.add_argument("--num_frames", type=int, default=16)
    parser.add_argument("--fps", type=float, default=12.5)
    parser.add_argument("--flip_probability", type=float, default=0.5, help="0 where classes tell left from right")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    asked = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    source = {"data_dir": asked.data_dir, "batch_size": asked.batch_size, "seed": 0, "as_supervised": True}
    source |= {"num_frames": asked.num_frames, "fps": asked.fps, "crop_size": asked.size, "with_info": True}
    flips, side = asked.flip_probability, asked.size * 8 // 7
    train, info = tf_data.load(asked.name, split="train", shorter_side=side, flip_probability=flips, **source)
    val, _ = tf_data.load(asked.name, split="val", shorter_side=side, **source)
    model = build(asked.num_frames, asked.size, len(info.label_names))
    schedule = keras.optimizers.schedules.CosineDecay(0.005, asked.epochs * len(train))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(schedule), loss, metrics=["accuracy"])
    return model.fit(train, validation_data=val, epochs=asked.epochs, verbose=2).history


if __name__ == "__main__":
    main()
