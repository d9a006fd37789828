"""Colour jitter and greyscale, as in torchvision and SimCLR (https://arxiv.org/abs/2002.05709, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tf_data import checks
from tf_data.augment import draws, levels


@dataclass(frozen=True)
class ColourJitter:
    """Changes brightness, contrast, saturation and hue, each by a random amount and in a random order.

    The order is drawn, as torchvision and SimCLR do: the four don't commute (what one clips is lost to the next), and
    a fixed order would keep some colours from ever coming up. One draw serves all frames of a clip. SimCLR's
    strength s is `ColourJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s, probability=0.8)`.

    Attributes:
      brightness: levels are multiplied by a factor from max(0, 1 - brightness) to 1 + brightness.
      contrast: so is their distance from the frame's mean luma.
      saturation: so is their distance from the pixel's luma.
      hue: turned by -hue to hue of the circle, at most 0.5. It costs more than the three others together.
      probability: how likely a clip is changed at all.

    Raises:
      ValueError: a value is out of its range.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            checks.number(f"ColourJitter: {name}", getattr(self, name), 0)
        checks.number("ColourJitter: hue", self.hue, 0, 0.5)
        checks.number("ColourJitter: probability", self.probability, 0, 1)

    def __call__(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the frames, changed: float32 [T, H, W, 3], levels from 0 to 255; `seed` is an integer tensor [2]."""
        amounts = draws.uniforms(seed, "amounts of colour jitter", 4)
        ranges = {
            levels.adjust_brightness: _factors(self.brightness),
            levels.adjust_contrast: _factors(self.contrast),
            levels.adjust_saturation: _factors(self.saturation),
            levels.adjust_hue: (-self.hue, self.hue),
        }
        changes = [
            (change, draws.between(least, most, amount))
            for (change, (least, most)), amount in zip(ranges.items(), amounts, strict=True)
            if least < most
        ]

        def jittered() -> tf.Tensor:
            order = tf.argsort(tf.stack(draws.uniforms(seed, "order of colour jitter", len(changes))))
            result = frames
            for position in range(len(changes)):
                branches = [lambda c=change, a=amount, f=result: c(f, a) for change, amount in changes]
                result = tf.ensure_shape(tf.switch_case(order[position], branches), frames.shape)
            return result

        if not changes:
            return frames
        (chance,) = draws.uniforms(seed, "whether colour jitter", 1)
        return tf.ensure_shape(tf.cond(chance < self.probability, jittered, lambda: frames), frames.shape)


def _factors(strength: float) -> tuple[float, float]:
    return max(0.0, 1.0 - strength), 1.0 + strength


@dataclass(frozen=True)
class Greyscale:
    """Turns some clips to greyscale, in three equal channels: the luma of ITU-R BT.601. SimCLR's probability is 0.2.

    Attributes:
      probability: how likely a clip is changed.

    Raises:
      ValueError: the probability is not from 0 to 1.
    """

    probability: float

    def __post_init__(self) -> None:
        checks.number("Greyscale: probability", self.probability, 0, 1)

    def __call__(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the frames, changed: float32 [T, H, W, 3], levels from 0 to 255; `seed` is an integer tensor [2]."""
        (chance,) = draws.uniforms(seed, "whether greyscale", 1)
        result = tf.cond(chance < self.probability, lambda: levels.greyscale(frames), lambda: frames)
        return tf.ensure_shape(result, frames.shape)
