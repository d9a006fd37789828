"""Random erasing: https://arxiv.org/abs/1708.04896, for clips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf

from tf_data import checks
from tf_data.augment import draws
from tf_data.augment.rectangles import paste
from tf_data.augment.warps import FILL

FILLS = ("noise", "grey")

# Mean and standard deviation of ImageNet's channels, in levels: noise is drawn so in VideoMAE and timm, as normal
# numbers in the place of frames that are normalised by these.
NOISE_MEAN = tuple(255 * mean for mean in (0.485, 0.456, 0.406))
NOISE_STD = tuple(255 * std for std in (0.229, 0.224, 0.225))

_TRIES = 10  # VideoMAE and timm try 10 to 100 times for a rectangle that fits; with the defaults 99.6 % do at once


@dataclass(frozen=True)
class RandomErasing:
    """Fills a rectangle, the same in all frames of a clip.

    The defaults are VideoMAE's for fine-tuning, but for a probability that one has to choose: there it is 0.25.

    Attributes:
      probability: how likely a clip is changed.
      area_range: least and most of the frame's area, drawn evenly.
      aspect_range: least and most height of the rectangle for a width of 1, drawn evenly on a logarithmic scale.
      fill: `noise`, normal numbers with the mean and deviation of ImageNet, for each pixel of each frame anew; or
        `grey`, level 128.

    Raises:
      ValueError: a value is out of its range.
    """

    probability: float = 0.25
    area_range: tuple[float, float] = (0.02, 1 / 3)
    aspect_range: tuple[float, float] = (0.3, 1 / 0.3)
    fill: str = "noise"

    def __post_init__(self) -> None:
        checks.number("RandomErasing: probability", self.probability, 0, 1)
        checks.span("RandomErasing: area_range", self.area_range, 1)
        checks.span("RandomErasing: aspect_range", self.aspect_range)
        if self.fill not in FILLS:
            raise ValueError(f"RandomErasing: fill must be one of {', '.join(FILLS)}, got {self.fill!r}")

    def __call__(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the frames, changed: float32 [T, H, W, 3], levels from 0 to 255; `seed` is an integer tensor [2].

        A clip stays as it is where no rectangle of the ranges fits into its frames.
        """
        (chance,) = draws.uniforms(seed, "whether random erasing", 1)
        result = tf.cond(chance < self.probability, lambda: self._erased(frames, seed), lambda: frames)
        return tf.ensure_shape(result, frames.shape)

    def _erased(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        frame_size = tf.shape(frames)[1:3]
        size = self._rectangle(frame_size, seed)
        shape = tf.concat([tf.shape(frames)[:1], size, [3]], axis=0)
        down, right = draws.uniforms(seed, "place of random erasing", 2)
        top = draws.below(frame_size[0] - size[0] + 1, down)
        left = draws.below(frame_size[1] - size[1] + 1, right)
        return paste(frames, self._patch(shape, seed), top, left)

    def _rectangle(self, frame_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The first of some rectangles drawn that fits, int32 [2], height and width; 0 and 0 where none does."""
        areas = tf.stack(draws.uniforms(seed, "area of random erasing", _TRIES))
        aspects = tf.stack(draws.uniforms(seed, "aspect of random erasing", _TRIES))
        area = draws.between(*self.area_range, areas) * tf.cast(tf.reduce_prod(frame_size), tf.float32)
        least, most = map(math.log, self.aspect_range)
        aspect = tf.exp(draws.between(least, most, aspects))
        sizes = tf.cast(tf.round(tf.sqrt(tf.stack([area * aspect, area / aspect], axis=1))), tf.int32)
        fits = tf.reduce_all(sizes <= frame_size, axis=1)
        return tf.where(tf.reduce_any(fits), sizes[tf.argmax(tf.cast(fits, tf.int32))], 0)

    def _patch(self, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self.fill == "grey":
            return tf.fill(shape, FILL)
        noise = draws.normals(seed, "noise of random erasing", shape)
        return tf.clip_by_value(noise * tf.constant(NOISE_STD) + tf.constant(NOISE_MEAN), 0.0, 255.0)
