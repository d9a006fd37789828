"""Folders of frames and flow as denseflow writes them, made with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

BOUND_PX = 20


def pictures(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[np.ndarray]:
    """Returns uint8 (height, width, 3) frames of a texture that moves to the right and upwards, brighter from frame to
    frame, so that no two are alike.
    """
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    base = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 200, cv2.NORM_MINMAX)
    return [np.roll(base, (-2 * k, 3 * k), axis=(0, 1)) + np.uint8(k % 50) for k in range(count)]


def estimate(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the flow between neighbours, float32 (height, width, 2) in pixels, by denseflow's `-a farn`."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
    return [cv2.calcOpticalFlowFarneback(a, b, None, 0.702, 5, 10, 2, 7, 1.5, 256) for a, b in pairwise(grey)]


def levels_of(flow: np.ndarray, bound_px: float = BOUND_PX) -> np.ndarray:
    """Returns uint8 levels as denseflow's `convertFlowToImage` has them, in double precision."""
    levels = np.rint(255 * (flow.astype(np.float64) + bound_px) / (2 * bound_px))
    return np.where(flow > bound_px, 255, np.where(flow < -bound_px, 0, levels)).astype(np.uint8)


def write_folder(
    folder: Path,
    frames: Sequence[np.ndarray],
    levels: Sequence[np.ndarray] = (),
    *,
    first_frame: int = 0,
    first_flow: int = 0,
    names: tuple[str, str, str] = ("img_", "flow_x_", "flow_y_"),
    suffix: str = "jpg",
) -> Path:
    """Writes `img_00000.jpg …` and `flow_x_00000.jpg`, `flow_y_00000.jpg …`; BGR frames, (height, width, 2) levels."""
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames, first_frame):
        cv2.imwrite(str(folder / f"{names[0]}{k:05d}.{suffix}"), frame)
    for k, pair in enumerate(levels, first_flow):
        cv2.imwrite(str(folder / f"{names[1]}{k:05d}.{suffix}"), pair[..., 0])
        cv2.imwrite(str(folder / f"{names[2]}{k:05d}.{suffix}"), pair[..., 1])
    return folder
