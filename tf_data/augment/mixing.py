"""Mixup (https://arxiv.org/abs/1710.09412) and CutMix (https://arxiv.org/abs/1905.04899) of a batch of clips."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tf_data import checks
from tf_data.augment import draws
from tf_data.augment.rectangles import paste

_PICTURES = ("rgb", "flow")
_STREAMS = (*_PICTURES, "audio")


@dataclass(frozen=True)
class Mix:
    """Mixes each clip of a batch with another one of it, and their labels by the same share.

    One draw serves the batch: whether, how, by which share and in which box. A clip's partner is that at its place in
    the reversed batch, as in timm, whose fine-tuning of VideoMAE is `Mix(mixup_alpha=0.8, cutmix_alpha=1.0,
    label_smoothing=0.1)`. The share lambda of a clip itself is drawn from Beta(alpha, alpha).

    - Mixup adds lambda of the clip and 1 - lambda of its partner, in all streams.
    - CutMix pastes a box of the partner over all frames: the same in `rgb` and `flow`, of sqrt(1 - lambda) of the
      height and of the width, about a centre anywhere in the frame. Lambda is corrected to the area that stays outside
      it, and sound is mixed by that.

    Attributes:
      mixup_alpha: of mixup's Beta distribution; 0 leaves mixup out.
      cutmix_alpha: of CutMix's Beta distribution; 0 leaves CutMix out.
      switch_probability: how likely it is CutMix, where there are both.
      probability: how likely a batch is mixed at all.
      label_smoothing: this share of each label goes to all classes evenly, also where nothing is mixed.

    Raises:
      ValueError: a value is out of its range, or both alphas are 0.
    """

    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0
    switch_probability: float = 0.5
    probability: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        checks.number("Mix: mixup_alpha", self.mixup_alpha, 0)
        checks.number("Mix: cutmix_alpha", self.cutmix_alpha, 0)
        for name in ("switch_probability", "probability", "label_smoothing"):
            checks.number(f"Mix: {name}", getattr(self, name), 0, 1)
        if not self.mixup_alpha and not self.cutmix_alpha:
            raise ValueError("Mix: mixup_alpha and cutmix_alpha are both 0, so that there is nothing to mix; set one")

    def __call__(self, batch: dict[str, tf.Tensor], num_classes: int, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the batch, mixed.

        Args:
          batch: `label`, int64 [B], or float32 [B, num_classes]; some of `rgb` [B, …, H, W, 3], `flow` [B, …, H, W, 2]
            and `audio` [B, L], in any float dtype, or as uint8 levels, which are rounded; and where some elements only
            fill up the batch, `mask`, bool [B], False for those. Anything else stays as it is.
          num_classes: how many there are.
          seed: int32 or int64 [2].

        Returns:
          The batch with its streams mixed, shapes and dtypes as they were, and `label` float32 [B, num_classes]. The
          real examples are mixed among themselves: their partners are those of a batch without the others, which stay
          as they are. A clip without a label, -1, adds nothing to the row: alone it is all 0.

        Raises:
          ValueError: there is no stream to mix, the labels don't fit `num_classes`, `rgb` and `flow` differ in size, or
            CutMix has no picture to cut.
          tf.errors.InvalidArgumentError: when it runs, a label is below -1, or `num_classes` or more.
        """
        streams = {key: batch[key] for key in _STREAMS if key in batch}
        partner = _partners(tf.shape(batch["label"])[0], batch.get("mask"))
        frame_size = self._frame_size(streams)
        chance, choice = draws.uniforms(seed, "whether and how to mix", 2)
        is_cutmix = choice < self._cutmix_share()

        def as_it_is() -> tuple[tf.Tensor, ...]:
            return *streams.values(), tf.constant(1.0)

        def mixup() -> tuple[tf.Tensor, ...]:
            share = draws.beta(seed, "share of mixup", self.mixup_alpha)
            return *(_blend(stream, partner, share) for stream in streams.values()), share

        def cutmix() -> tuple[tf.Tensor, ...]:
            share = draws.beta(seed, "share of CutMix", self.cutmix_alpha)
            box = _box(frame_size, share, seed)
            share = 1.0 - tf.cast(box[2] * box[3], tf.float32) / tf.cast(tf.reduce_prod(frame_size), tf.float32)
            mixed = [
                _cut(stream, partner, box) if key in _PICTURES else _blend(stream, partner, share)
                for key, stream in streams.items()
            ]
            return *mixed, share

        ways = [as_it_is, mixup if self.mixup_alpha else cutmix, cutmix if self.cutmix_alpha else mixup]
        way = tf.where(chance < self.probability, tf.where(is_cutmix, 2, 1), 0)
        *mixed, share = tf.switch_case(way, ways)
        labels = _smoothed(_one_hot(batch["label"], num_classes), self.label_smoothing)
        result = {key: tf.ensure_shape(stream, streams[key].shape) for key, stream in zip(streams, mixed, strict=True)}
        return batch | result | {"label": labels * share + tf.gather(labels, partner) * (1.0 - share)}

    def _cutmix_share(self) -> float:
        if not self.mixup_alpha or not self.cutmix_alpha:
            return float(self.cutmix_alpha > 0)
        return self.switch_probability

    def _frame_size(self, streams: dict[str, tf.Tensor]) -> tf.Tensor | None:
        """Height and width, int32 [2]; None where there are no pictures and they aren't needed."""
        if not streams:
            raise ValueError(f"Mix: the batch has none of {', '.join(_STREAMS)}, so that there is nothing to mix")
        pictures = [streams[key] for key in _PICTURES if key in streams]
        if len({tuple(picture.shape[-3:-1]) for picture in pictures}) > 1:
            sizes = " and ".join(f"{key} {streams[key].shape}" for key in _PICTURES)
            raise ValueError(f"Mix: rgb and flow must have frames of one size, got {sizes}")
        if not pictures and self.cutmix_alpha:
            raise ValueError("Mix: CutMix cuts rgb or flow, and the batch has neither; set cutmix_alpha=0")
        return tf.shape(pictures[0])[-3:-1] if pictures else None


def _partners(batch_size: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """The partner of each element, int32 [B]: by reversing the real ones alone; the others are their own."""
    every = tf.range(batch_size)
    if mask is None:
        return every[::-1]
    real = tf.boolean_mask(every, mask)
    return tf.tensor_scatter_nd_update(every, real[:, tf.newaxis], real[::-1])


def _blend(stream: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    own = tf.cast(stream, tf.float32)
    return _as_dtype(own * share + tf.gather(own, partner) * (1.0 - share), stream.dtype)


def _as_dtype(values: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(tf.round(values) if dtype.is_integer else values, dtype)


def _box(frame_size: tf.Tensor, share: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A box of about 1 - share of the area, clipped by the frame: int32 [4], top, left, height, width."""
    size = tf.cast(tf.cast(frame_size, tf.float32) * tf.sqrt(1.0 - share), tf.int32)
    down, right = draws.uniforms(seed, "place of CutMix", 2)
    centre = tf.stack([draws.below(frame_size[0], down), draws.below(frame_size[1], right)])
    first = tf.maximum(centre - size // 2, 0)
    last = tf.minimum(centre + size // 2, frame_size)
    return tf.concat([first, last - first], axis=0)


def _cut(frames: tf.Tensor, partner: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    top, left, height, width = tf.unstack(box)
    patch = tf.gather(frames[..., top : top + height, left : left + width, :], partner)
    return paste(frames, patch, top, left)


def _one_hot(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    checks.positive("Mix: num_classes", num_classes)
    if labels.dtype.is_floating:
        if labels.shape.rank != 2 or labels.shape[1] != num_classes:
            raise ValueError(f"Mix: float labels must be [B, num_classes={num_classes}], got {labels.shape}")
        return tf.cast(labels, tf.float32)
    if labels.shape.rank != 1:
        raise ValueError(f"Mix: integer labels must be one a clip, [B], got {labels.shape}")
    fits = tf.reduce_all((labels >= -1) & (labels < num_classes))
    message = f"Mix: labels must be from -1 (none) to num_classes - 1 = {num_classes - 1}, got"
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, labels], summarize=-1)]):
        return tf.one_hot(tf.identity(labels), num_classes)


def _smoothed(labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Gives `smoothing` of each row's sum to all classes evenly, so that a row of zeros stays one."""
    return labels * (1.0 - smoothing) + tf.reduce_mean(labels, axis=1, keepdims=True) * smoothing
