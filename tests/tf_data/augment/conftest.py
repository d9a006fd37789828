"""A clip to augment: few small frames, with smooth parts, edges, noise and all levels."""

from __future__ import annotations

import numpy as np
import pytest

NUM_FRAMES, HEIGHT, WIDTH = 3, 40, 56


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    """Frames of whole levels, float32 [T, H, W, 3]; each has another brightness, contrast and tint."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices((HEIGHT, WIDTH))
    frames = []
    for number in range(NUM_FRAMES):
        ramp = np.stack([255 * columns / WIDTH, 255 * rows / HEIGHT, 2 * (rows + columns)], axis=2)
        ramp[10:20, 10:30] = [200, 30, 60 + 40 * number]  # a block with edges
        noise = generator.normal(0, 12, ramp.shape)
        frames.append(np.clip((0.9 - 0.2 * number) * (ramp + noise) + 20 * number, 0, 255))
    return np.round(frames).astype(np.float32)
