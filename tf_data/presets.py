"""Presets: how a model family looks at a clip, in training and in evaluation, as rows of numbers with their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tf_data.augment import ColourJitter, Greyscale, RandAugment, RandomErasing
from tf_data.checks import nearest
from tf_data.views import Views


@dataclass(frozen=True, slots=True)
class Preset:
    """How a model looks at clips in training and in evaluation, where `evaluation` is one centred view.

    `test_views` are (num_clips, num_crops) of the protocol by which the model's published accuracy was measured.

    Raises:
      ValueError: the two rows have different `mean` or `std`: a model takes the same numbers in both.
    """

    training: Views
    evaluation: Views
    test_views: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            one, other = getattr(self.training, name), getattr(self.evaluation, name)
            if one != other:
                raise ValueError(f"{name} must be the same in training and evaluation, got {one} and {other}")


_ZERO_ONE: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_SLOWFAST_SCALE: dict[str, Any] = {"mean": (0.45, 0.45, 0.45), "std": (0.225, 0.225, 0.225)}
_IMAGENET_SCALE: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

# Numbers that a paper or configuration gives in frames of its own rate are kept as instants: SlowFast's stride 2 of 30
# frames a second is 15 frames a second of whatever is stored.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # Carreira and Zisserman, "Quo Vadis, Action Recognition?", https://arxiv.org/abs/1705.07750. Section 2.5:
        # random 224×224 crops of frames whose smaller side is 256, a random start "among those early enough to
        # guarantee a desired number of frames", flips applied to the whole clip, shorter videos looped; tested on the
        # whole video with centre crops. Table 1: 64 frames in training, 250 (10 s at 25 a second) in testing.
        "i3d": Preset(
            training=Views(num_frames=64, crop_size=(224, 224), flip_probability=0.5),
            evaluation=Views(num_frames=250, crop_size=(224, 224)),
        ),
        # Kondratyuk et al., "MoViNets", https://arxiv.org/abs/2103.11511, A2: the authors' configuration for
        # Kinetics-600 in tensorflow/models, official/projects/movinet/configs/yaml/movinet_a2_k600_8x8.yaml: 50 frames
        # at stride 5 of 25 a second, area .08–1 and aspect .5–2 of the random crop, shorter side 256 in evaluation,
        # inputs in [0, 1]. Its AutoAugment policy is left out, and that the stride is 4 in half of the clips.
        "movinet": Preset(
            training=Views(
                num_frames=50,
                fps=5.0,
                area_range=(0.08, 1.0),
                aspect_range=(0.5, 2.0),
                crop_size=(224, 224),
                flip_probability=0.5,
                **_ZERO_ONE,
            ),
            evaluation=Views(num_frames=50, fps=5.0, shorter_side=(256, 256), crop_size=(224, 224), **_ZERO_ONE),
        ),
        # Feichtenhofer et al., "SlowFast Networks", https://arxiv.org/abs/1812.03982, 8×8: section 4 and the authors'
        # configs/Kinetics/SLOWFAST_8x8_R50.yaml with slowfast/config/defaults.py: 32 frames of the fast pathway at
        # stride 2 of 30 a second (the slow one takes every fourth of them), shorter side 256–320, crops of 224; tested
        # with 10 × 3 views of 256×256.
        "slowfast": Preset(
            training=Views(
                num_frames=32,
                fps=15.0,
                shorter_side=(256, 320),
                crop_size=(224, 224),
                flip_probability=0.5,
                **_SLOWFAST_SCALE,
            ),
            evaluation=Views(num_frames=32, fps=15.0, shorter_side=(256, 256), crop_size=(256, 256), **_SLOWFAST_SCALE),
            test_views=(10, 3),
        ),
        # Arnab et al., "ViViT", https://arxiv.org/abs/2103.15691, and the authors' configuration in scenic,
        # projects/vivit/configs/kinetics400/vivit_base_k400.py: 32 frames at stride 2, shorter side 256, height and
        # width scaled by .9–1.33 each, colours changed with probability .8 and dropped with .1 by the strengths of
        # DMVR's color_default_augm, inputs in [-1, 1]; 4 × 3 views. DMVR adds brightness, in one order of changes; here
        # brightness multiplies, as elsewhere, and the order is drawn.
        "vivit": Preset(
            training=Views(
                num_frames=32,
                stride=(2, 2),
                shorter_side=(256, 256),
                scale_jitter=(0.9, 1.33),
                crop_size=(224, 224),
                flip_probability=0.5,
                augment=(
                    ColourJitter(brightness=32 / 255, contrast=0.4, saturation=0.4, hue=0.2, probability=0.8),
                    Greyscale(probability=0.1),
                ),
            ),
            evaluation=Views(num_frames=32, stride=(2, 2), shorter_side=(256, 256), crop_size=(224, 224)),
            test_views=(4, 3),
        ),
        # Tong et al., "VideoMAE", https://arxiv.org/abs/2203.12602, fine-tuning on Kinetics-400: the authors'
        # scripts/kinetics/…/finetune.sh with the defaults of run_class_finetuning.py and kinetics.py: 16 frames at
        # stride 4, RandAugment `rand-m7-n4-mstd0.5-inc1`, random crops of area .08–1 and aspect 3/4–4/3, erasing with
        # probability .25, ImageNet's mean and deviation; shorter side 224, 5 × 3 views. Mixup and CutMix are
        # `Mix(label_smoothing=0.1)`.
        # The authors augment whole frames before they crop, and have each clip twice in a batch.
        "videomae": Preset(
            training=Views(
                num_frames=16,
                stride=(4, 4),
                short="hold",
                area_range=(0.08, 1.0),
                aspect_range=(3 / 4, 4 / 3),
                crop_size=(224, 224),
                flip_probability=0.5,
                augment=(RandAugment(num_ops=4, magnitude=7, magnitude_std=0.5), RandomErasing(probability=0.25)),
                **_IMAGENET_SCALE,
            ),
            evaluation=Views(
                num_frames=16,
                stride=(4, 4),
                short="hold",
                shorter_side=(224, 224),
                crop_size=(224, 224),
                **_IMAGENET_SCALE,
            ),
            test_views=(5, 3),
        ),
    }
)

# `preset=None`: every stored frame as it is.
RAW = Preset(training=Views(sampling="all", dtype="uint8"), evaluation=Views(sampling="all", dtype="uint8"))


def find_preset(preset: str | Preset | None) -> Preset:
    """Returns the preset of that name, a preset as it is, and for None the one that leaves clips as they are stored.

    Raises:
      ValueError: there is none of that name; the message lists those that there are.
    """
    if preset is None:
        return RAW
    if isinstance(preset, Preset):
        return preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(
            f"preset must be one of {', '.join(PRESETS)}, a tf_data.Preset, or None for the stored frames, got "
            f"{preset!r}{nearest(preset, PRESETS)}"
        )
    return PRESETS[preset]
