"""Inception-v1 I3D in Sonnet 2: one stream of "Quo Vadis, Action Recognition?" (https://arxiv.org/abs/1705.07750).

Names and shapes of the variables are those of DeepMind's checkpoints (https://github.com/google-deepmind/kinetics-i3d),
so that these are loaded by name (`weights.py`).
"""

from __future__ import annotations

import math

import sonnet as snt
import tensorflow as tf

CHANNELS = {"rgb": 3, "flow": 2}
_SCOPES = {"rgb": "RGB", "flow": "Flow"}  # what the names of a stream's variables begin with

# Output channels of Inception-v1's blocks (Szegedy et al., https://arxiv.org/abs/1409.4842, table 1): of the branch of
# one 1×1, of the two that go from a 1×1 to a 3×3, and of the one that pools first.
_MIXED = {
    "Mixed_3b": (64, (96, 128), (16, 32), 32),
    "Mixed_3c": (128, (128, 192), (32, 96), 64),
    "Mixed_4b": (192, (96, 208), (16, 48), 64),
    "Mixed_4c": (160, (112, 224), (24, 64), 64),
    "Mixed_4d": (128, (128, 256), (24, 64), 64),
    "Mixed_4e": (112, (144, 288), (32, 64), 64),
    "Mixed_4f": (256, (160, 320), (32, 128), 128),
    "Mixed_5b": (256, (160, 320), (32, 128), 128),
    "Mixed_5c": (384, (192, 384), (48, 128), 128),
}
# The maximum over (time, height, width), at a stride of 2, before these blocks.
_POOLED_BEFORE = {"Mixed_4b": (3, 3, 3), "Mixed_5b": (2, 2, 2)}
_EPSILON = 1e-3  # of the authors' batch normalisation; Sonnet 2 has another by default


def build_i3d(
    stream: str, num_classes: int = 400, *, width: float = 1.0, batch_norm_decay: float = 0.999
) -> InceptionI3D:
    """Returns the network of a stream, with all its variables.

    Args:
      stream: `rgb` or `flow`.
      num_classes: how many logits there are.
      width: factor of every layer's output channels but the logits'; 1 is the published network.
      batch_norm_decay: of the moving averages; the authors' 0.999 takes thousands of steps to come near.

    Raises:
      ValueError: a value that is not allowed.
    """
    if stream not in CHANNELS:
        raise ValueError(f"stream must be one of {', '.join(CHANNELS)}, got {stream!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if not 0 < width <= 4:
        raise ValueError(f"width must be above 0 and at most 4, got {width}")
    if not 0 <= batch_norm_decay < 1:
        raise ValueError(f"batch_norm_decay must be at least 0 and below 1, got {batch_norm_decay}")
    with tf.name_scope(_SCOPES[stream]):
        return InceptionI3D(CHANNELS[stream], num_classes, width, batch_norm_decay)


class InceptionI3D(snt.Module):
    """The network from frames to logits."""

    def __init__(self, channels: int, num_classes: int, width: float, decay: float, name: str = "inception_i3d"):
        super().__init__(name=name)

        def wide(outputs: int) -> int:
            return max(1, round(outputs * width))

        self.conv_1a = Unit3D(channels, wide(64), 7, decay, stride=2, name="Conv3d_1a_7x7")
        self.conv_2b = Unit3D(wide(64), wide(64), 1, decay, name="Conv3d_2b_1x1")
        self.conv_2c = Unit3D(wide(64), wide(192), 3, decay, name="Conv3d_2c_3x3")
        self.mixed = []
        inputs = wide(192)
        for block, (single, second, third, pooled) in _MIXED.items():
            branches = [[wide(single)], [*map(wide, second)], [*map(wide, third)], [wide(pooled)]]
            self.mixed.append(Mixed(inputs, branches, decay, name=block))
            inputs = sum(branch[-1] for branch in branches)
        with tf.name_scope("Logits"), tf.name_scope("Conv3d_0c_1x1"):
            self.logits = Conv3D(inputs, num_classes, 1, use_bias=True)

    def __call__(
        self, frames: tf.Tensor, is_training: bool, dropout: float = 0.0, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the logits, averaged over time.

        Args:
          frames: [N, T, H, W, 3] of RGB or [N, T, H, W, 2] of flow in [-1, 1], of any size; 224×224 as published. What
            is computed is of their type, but for statistics and logits.
          is_training: whether to normalise by the batch, and to update the moving averages.
          dropout: the share of the features that are left out before the logits.
          dropout_seed: integer [2], for a dropout above 0; the same seed leaves out the same ones.

        Returns:
          float32 [N, num_classes].
        """
        x = self.conv_1a(frames, is_training)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.conv_2c(self.conv_2b(x, is_training), is_training)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        for mixed in self.mixed:
            if mixed.name in _POOLED_BEFORE:
                x = _max_pool(x, _POOLED_BEFORE[mixed.name], (2, 2, 2))
            x = mixed(x, is_training)
        x = average_pairs(tf.cast(x, tf.float32))
        if dropout:
            x = tf.nn.experimental.stateless_dropout(x, dropout, seed=dropout_seed)
        return tf.reduce_mean(self.logits(x), axis=(1, 2, 3))


class Mixed(snt.Module):
    """An Inception block: four branches side by side, their channels one after the other."""

    def __init__(self, inputs: int, branches: list[list[int]], decay: float, name: str):
        super().__init__(name=name)
        names = [
            ["Conv3d_0a_1x1"],
            ["Conv3d_0a_1x1", "Conv3d_0b_3x3"],
            # A slip of the authors' that the checkpoints keep.
            ["Conv3d_0a_1x1", "Conv3d_0a_3x3" if name == "Mixed_5b" else "Conv3d_0b_3x3"],
            ["Conv3d_0b_1x1"],
        ]
        self.branches = []
        for number, (outputs, units) in enumerate(zip(branches, names, strict=True)):
            with tf.name_scope(f"Branch_{number}"):
                widths = [inputs, *outputs]
                self.branches.append(
                    [Unit3D(widths[k], widths[k + 1], 3 if k else 1, decay, name=unit) for k, unit in enumerate(units)]
                )

    def __call__(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        """Returns [N, T, H, W, channels of all branches]."""
        inputs = [x, x, x, _max_pool(x, (3, 3, 3), (1, 1, 1))]
        outputs = []
        for branch, result in zip(self.branches, inputs, strict=True):
            for unit in branch:
                result = unit(result, is_training)
            outputs.append(result)
        return tf.concat(outputs, axis=-1)


class Unit3D(snt.Module):
    """A convolution, batch normalisation and a rectifier."""

    def __init__(self, inputs: int, outputs: int, side: int, decay: float, *, stride: int = 1, name: str):
        super().__init__(name=name)
        self.conv = Conv3D(inputs, outputs, side, stride=stride)
        self.batch_norm = BatchNorm(outputs, decay)

    def __call__(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        """Returns [N, T', H', W', outputs], the sizes divided by the stride."""
        return tf.nn.relu(self.batch_norm(self.conv(x), is_training))


class Conv3D(snt.Module):
    """A convolution whose variables are float32, whatever type it computes in.

    Sonnet's own makes variables of its inputs' type.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, *, stride: int = 1, use_bias: bool = False, name: str = "conv_3d"
    ):
        super().__init__(name=name)
        self.stride = stride
        initializer = snt.initializers.TruncatedNormal(stddev=1 / math.sqrt(inputs * side**3))
        self.w = tf.Variable(initializer([side, side, side, inputs, outputs], tf.float32), name="w")
        self.b = tf.Variable(tf.zeros([outputs]), name="b") if use_bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [N, T', H', W', outputs] of the type of `x`."""
        strides = [1, self.stride, self.stride, self.stride, 1]
        x = tf.nn.conv3d(x, tf.cast(self.w, x.dtype), strides=strides, padding="SAME")
        return x if self.b is None else x + tf.cast(self.b, x.dtype)


class BatchNorm(snt.Module):
    """Batch normalisation with an offset and no scale, each replica by its own clips.

    Sonnet's own keeps more variables than the checkpoints have, and at three dimensions doesn't fuse its steps.
    """

    def __init__(self, channels: int, decay: float, name: str = "batch_norm"):
        super().__init__(name=name)
        self.decay = decay
        self.beta = tf.Variable(tf.zeros([channels]), name="beta")
        self.moving_mean = _moving_average(tf.zeros([channels]), "moving_mean")
        self.moving_variance = _moving_average(tf.ones([channels]), "moving_variance")

    def __call__(self, x: tf.Tensor, is_training: bool) -> tf.Tensor:
        """Returns `x` [N, T, H, W, channels] normalised."""
        shape = tf.shape(x)
        planes = tf.reshape(x, [shape[0], -1, shape[3], x.shape[-1]])  # the fused operation has two dimensions
        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=planes,
            scale=tf.ones_like(self.beta),
            offset=self.beta,
            mean=tf.constant([]) if is_training else self.moving_mean,
            variance=tf.constant([]) if is_training else self.moving_variance,
            epsilon=_EPSILON,
            is_training=is_training,
        )
        if is_training:
            self.moving_mean.assign_sub((1 - self.decay) * (self.moving_mean - mean))
            self.moving_variance.assign_sub((1 - self.decay) * (self.moving_variance - variance))
        return tf.reshape(normalised, shape)


def average_pairs(x: tf.Tensor) -> tf.Tensor:
    """Returns the mean of the whole picture in every two times that follow each other: [N, T - 1, 1, 1, C].

    The authors average 2×7×7 features, which is the same where frames have 224×224 pixels. A single time stays one.
    """
    x = tf.reduce_mean(x, axis=(2, 3), keepdims=True)
    num_pairs = tf.maximum(tf.shape(x)[1] - 1, 1)
    return (x[:, :num_pairs] + x[:, -num_pairs:]) / 2


def _moving_average(start: tf.Tensor, name: str) -> tf.Variable:
    return tf.Variable(
        start,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN,
    )


def _max_pool(x: tf.Tensor, sides: tuple[int, int, int], strides: tuple[int, int, int]) -> tf.Tensor:
    return tf.nn.max_pool3d(x, [1, *sides, 1], [1, *strides, 1], padding="SAME")
