"""RandAugment for video: a few operations drawn at random, all at one magnitude and the same in all frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from tf_data import checks
from tf_data.augment import draws, levels, warps

_MOST = 10.0  # magnitudes are from 0 to 10

# What an operation does at a magnitude of 0 to 1 and a sign of -1 or 1. The numbers are timm's, in the variant in which
# the magnitude always is a strength ("inc1"); the integers among them are rounded down there, too.
_Operation = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

LEVEL_OPERATIONS: dict[str, _Operation] = {
    "auto_contrast": lambda frames, magnitude, sign: levels.auto_contrast(frames),
    "equalise": lambda frames, magnitude, sign: levels.equalise(frames),
    "invert": lambda frames, magnitude, sign: levels.invert(frames),
    "posterise": lambda frames, magnitude, sign: levels.posterise(frames, 4 - tf.floor(4 * magnitude)),
    "solarise": lambda frames, magnitude, sign: levels.solarise(frames, 256 - tf.floor(256 * magnitude)),
    "solarise_add": lambda frames, magnitude, sign: levels.solarise_add(frames, tf.floor(110 * magnitude)),
    "saturation": lambda frames, magnitude, sign: levels.adjust_saturation(frames, 1 + 0.9 * magnitude * sign),
    "contrast": lambda frames, magnitude, sign: levels.adjust_contrast(frames, 1 + 0.9 * magnitude * sign),
    "brightness": lambda frames, magnitude, sign: levels.adjust_brightness(frames, 1 + 0.9 * magnitude * sign),
    "sharpness": lambda frames, magnitude, sign: levels.adjust_sharpness(frames, 1 + 0.9 * magnitude * sign),
}
GEOMETRIC_OPERATIONS: dict[str, _Operation] = {
    "rotate": lambda frames, magnitude, sign: warps.rotate(frames, 30 * magnitude * sign),
    "shear_x": lambda frames, magnitude, sign: warps.shear_x(frames, 0.3 * magnitude * sign),
    "shear_y": lambda frames, magnitude, sign: warps.shear_y(frames, 0.3 * magnitude * sign),
    "translate_x": lambda frames, magnitude, sign: warps.translate_x(frames, 0.45 * magnitude * sign),
    "translate_y": lambda frames, magnitude, sign: warps.translate_y(frames, 0.45 * magnitude * sign),
}


@dataclass(frozen=True)
class RandAugment:
    """Applies `num_ops` operations, each drawn from all with equal chances, one after the other.

    The method is https://arxiv.org/abs/1909.13719; operations, numbers and chances are timm's
    (`timm/data/auto_augment.py`), so that VideoMAE's fine-tuning, `rand-m7-n4-mstd0.5-inc1`, is
    `RandAugment(num_ops=4, magnitude=7, magnitude_std=0.5)`. Differences: interpolation is always bilinear, where timm
    may use bicubic; translations are of whole pixels; levels are not rounded between operations. Auto-contrast,
    equalisation and inversion have no magnitude, and posterisation begins at four bits: at magnitude 0 all the others
    leave the clip as it is.

    Attributes:
      num_ops: operations a clip, drawn with replacement.
      magnitude: from 0 to 10.
      magnitude_std: above 0 the magnitude of each operation is drawn from a normal distribution about `magnitude`, and
        clipped to 0 … 10.
      geometric: False leaves out rotation, shear and translation, for clips whose flow or boxes must stay in place.
      probability: how likely each drawn operation is applied. 0.5 is timm's. The paper's own operations are always
        applied, and one of 14 leaves the image as it is.

    Raises:
      ValueError: a value is out of its range.
    """

    num_ops: int = 2
    magnitude: float = 9.0
    magnitude_std: float = 0.0
    geometric: bool = True
    probability: float = 0.5

    def __post_init__(self) -> None:
        checks.positive("RandAugment: num_ops", self.num_ops)
        checks.number("RandAugment: magnitude", self.magnitude, 0, _MOST)
        checks.number("RandAugment: magnitude_std", self.magnitude_std, 0)
        checks.number("RandAugment: probability", self.probability, 0, 1)

    def __call__(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the frames, changed: float32 [T, H, W, 3], levels from 0 to 255; `seed` is an integer tensor [2]."""
        operations = LEVEL_OPERATIONS | (GEOMETRIC_OPERATIONS if self.geometric else {})
        whether, which, side = (
            tf.stack(draws.uniforms(seed, f"RandAugment: {use}", self.num_ops)) for use in ("whether", "which", "sign")
        )
        as_it_is = len(operations)  # the switch's last branch
        choices = tf.where(whether < self.probability, draws.below(tf.constant(as_it_is), which), as_it_is)
        magnitudes = self._magnitudes(seed)
        signs = tf.where(side < 0.5, -1.0, 1.0)
        shape = frames.shape

        def apply_next(number: tf.Tensor, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            branches = [lambda op=op: op(frames, magnitudes[number], signs[number]) for op in operations.values()]
            changed = tf.switch_case(choices[number], [*branches, lambda: frames])
            return number + 1, tf.ensure_shape(changed, shape)

        # A loop of the graph: Python's would build all operations num_ops times, for seconds.
        _, frames = tf.while_loop(lambda number, _: number < self.num_ops, apply_next, [tf.constant(0), frames])
        return frames

    def _magnitudes(self, seed: tf.Tensor) -> tf.Tensor:
        """The magnitude of each operation, from 0 to 1: float32 [num_ops]."""
        magnitudes = tf.fill([self.num_ops], float(self.magnitude))
        if self.magnitude_std:
            magnitudes += self.magnitude_std * draws.normals(seed, "RandAugment: magnitude", [self.num_ops])
        return tf.clip_by_value(magnitudes / _MOST, 0.0, 1.0)
