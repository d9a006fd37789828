"""The variables of DeepMind's checkpoints of I3D, written down from the paper, and checkpoints that have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

# Unit, kernel's side, channels in and out.
_STEM = [("Conv3d_1a_7x7", 7, None, 64), ("Conv3d_2b_1x1", 1, 64, 64), ("Conv3d_2c_3x3", 3, 64, 192)]
# Block, channels in, and out: 1×1, 3×3's reduced, 3×3, second 3×3's reduced, second 3×3, after pooling.
_MIXED = """
    3b 192  64  96 128 16  32  32
    3c 256 128 128 192 32  96  64
    4b 480 192  96 208 16  48  64
    4c 512 160 112 224 24  64  64
    4d 512 128 128 256 24  64  64
    4e 512 112 144 288 32  64  64
    4f 528 256 160 320 32 128 128
    5b 832 256 160 320 32 128 128
    5c 832 384 192 384 48 128 128
"""


def shapes(stream: str, num_classes: int = 400) -> dict[str, tuple[int, ...]]:
    """Name and shape of every variable of a checkpoint of Kinetics-400."""
    channels, scope = {"rgb": (3, "RGB"), "flow": (2, "Flow")}[stream]
    units = [(unit, side, inputs or channels, outputs) for unit, side, inputs, outputs in _STEM]
    for line in _MIXED.strip().splitlines():
        block, *numbers = line.split()
        inputs, single, reduced, second, reduced_too, third, pooled = map(int, numbers)
        last = "Conv3d_0a_3x3" if block == "5b" else "Conv3d_0b_3x3"
        units += [
            (f"Mixed_{block}/Branch_0/Conv3d_0a_1x1", 1, inputs, single),
            (f"Mixed_{block}/Branch_1/Conv3d_0a_1x1", 1, inputs, reduced),
            (f"Mixed_{block}/Branch_1/Conv3d_0b_3x3", 3, reduced, second),
            (f"Mixed_{block}/Branch_2/Conv3d_0a_1x1", 1, inputs, reduced_too),
            (f"Mixed_{block}/Branch_2/{last}", 3, reduced_too, third),
            (f"Mixed_{block}/Branch_3/Conv3d_0b_1x1", 1, inputs, pooled),
        ]
    found: dict[str, tuple[int, ...]] = {}
    for unit, side, inputs, outputs in units:
        found[f"{unit}/conv_3d/w"] = (side, side, side, inputs, outputs)
        for value in ("beta", "moving_mean", "moving_variance"):
            found[f"{unit}/batch_norm/{value}"] = (outputs,)
    found["Logits/Conv3d_0c_1x1/conv_3d/w"] = (1, 1, 1, 1024, num_classes)
    found["Logits/Conv3d_0c_1x1/conv_3d/b"] = (num_classes,)
    return {f"{scope}/inception_i3d/{name}": shape for name, shape in found.items()}


def k600_shapes() -> dict[str, tuple[int, ...]]:
    """Those of the checkpoint of Kinetics-600: short names, five dimensions for each channel's values, momenta."""
    found = {}
    for name, shape in shapes("rgb", 600).items():
        short = name.removeprefix("RGB/inception_i3d/")
        found[short] = (1, 1, 1, 1, *shape) if "/batch_norm/" in short else shape
        if "moving" not in short:
            found[f"{short}/Momentum"] = found[short]
    return found


def write_checkpoint(prefix: Path, of: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """Writes a TF1 checkpoint of random values and returns them."""
    rng = np.random.default_rng(seed)
    values = {name: rng.random(shape, np.float32) for name, shape in of.items()}
    names = list(values)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(values[name]) for name in names],
    )
    return values
