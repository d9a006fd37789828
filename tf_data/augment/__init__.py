"""Augmentations of clips and batches, as stateless functions of tensors and a seed that work in `tf.data` maps.

Of a clip, `augmentation(frames, seed)`; all its frames get the same draw:

    ColourJitter, Greyscale     colour.py           torchvision's and SimCLR's
    RandAugment                 rand_augment.py     timm's, with which VideoMAE is fine-tuned
    RandomErasing               erasing.py

Of a batch, `mix(batch, num_classes, seed)`:

    Mix                         mixing.py           mixup and CutMix

What these draw from are functions of the frames and a strength: `levels.py` and `warps.py`.
"""

from tf_data.augment.colour import ColourJitter as ColourJitter
from tf_data.augment.colour import Greyscale as Greyscale
from tf_data.augment.erasing import RandomErasing as RandomErasing
from tf_data.augment.mixing import Mix as Mix
from tf_data.augment.rand_augment import RandAugment as RandAugment
from tf_data.augment.sequence import Augmentation as Augmentation
from tf_data.augment.sequence import apply as apply

__all__ = ["Augmentation", "ColourJitter", "Greyscale", "Mix", "RandAugment", "RandomErasing", "apply"]
