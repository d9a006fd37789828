"""TV-L1 optical flow as in OpenCV, many times as fast (benchmarks/flow.py).

Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical flow" (DAGM 2007), in the form that
Sánchez, Meinhardt-Llopis and Facciolo gave it (IPOL 2013) and OpenCV's `DualTVL1OpticalFlow` took over: a pyramid,
warps on each of its levels, a median filter before each run of sweeps, and sweeps until the flow hardly changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from beam_pipeline.media import tvl1_kernels as kernels
from beam_pipeline.media.settings import TVL1Parameters

_MIN_LEVEL_PX = 16  # a level of the pyramid that is smaller is left out, as in OpenCV
_DEFAULTS = TVL1Parameters()


class _Level:
    """The buffers of one level of the pyramid."""

    def __init__(self, height: int, width: int):
        def zeros(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        margins = 2 * kernels.MARGIN
        self.size = (width, height)
        self.images = [np.empty((height, width), np.float32) for _ in range(2)]
        self.channels = [zeros(height + margins, width + margins, kernels.CHANNELS) for _ in range(2)]
        self.flow = zeros(2, height, width + 1)
        self.duals = zeros(4, height + 1, width + 1)
        self.data = zeros(4, height, width)  # gradient by x and y, its inverse square, the rest
        self.row = zeros(width)
        self.cells = np.zeros((2, width), np.int32)
        self.weights = zeros(8, width)


class TVL1:
    """Estimates the flow between frames of one size; holds all the buffers that this takes.

    A frame that is the second of one pair and the first of the next is prepared once.
    """

    def __init__(self, height: int, width: int, parameters: TVL1Parameters = _DEFAULTS):
        self.parameters = parameters
        self._levels = [_Level(height, width)]
        while len(self._levels) < parameters.num_levels:
            height, width = (round(side * parameters.level_scale) for side in (height, width))
            if min(height, width) < _MIN_LEVEL_PX:
                break
            self._levels.append(_Level(height, width))
        self._last: np.ndarray | None = None
        self._turn = 0  # which of the two images of a level is the last frame's

    def __call__(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """Returns the displacement of every pixel of `previous` towards `following`, float32 (height, width, 2).

        Args:
          previous: uint8 (height, width).
          following: the frame after it; frames must not change while they are looked at.
        """
        if previous is not self._last:
            self._prepare(previous)
        first = self._turn
        self._prepare(following)
        step = np.float32(self.parameters.tau / self.parameters.theta)
        coarser: _Level | None = None
        for level in reversed(self._levels):
            if coarser is None:
                level.flow[:] = 0
            else:
                for flow, smaller in zip(level.flow, coarser.flow, strict=True):
                    enlarged = cv2.resize(smaller[:, :-1], level.size, interpolation=cv2.INTER_LINEAR)
                    np.multiply(enlarged, np.float32(1 / self.parameters.level_scale), out=flow[:, :-1])
            self._solve(level, level.images[first], level.channels[self._turn], step)
            coarser = level
        return np.moveaxis(self._levels[0].flow[:, :, :-1], 0, -1) / step

    def _prepare(self, frame: np.ndarray) -> None:
        self._last, self._turn = frame, 1 - self._turn
        finer, scale = None, self.parameters.level_scale
        for level in self._levels:
            image = level.images[self._turn]
            if finer is None:
                image[:] = frame
            else:  # by the factor, as OpenCV does: the quotient of the sizes, which are rounded, is another one
                cv2.resize(finer, None, dst=image, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            kernels.lay_out(image, level.channels[self._turn])
            finer = image

    def _solve(self, level: _Level, first: np.ndarray, channels: np.ndarray, step: np.float32) -> None:
        parameters = self.parameters
        level.duals[:] = 0
        most, tau = np.float32(parameters.data_weight * parameters.theta), np.float32(parameters.tau)
        limit = np.float32(parameters.epsilon_px**2 * first.size * float(step) ** 2)
        flat, stride = channels.reshape(-1), channels.shape[1] * kernels.CHANNELS
        for _ in range(parameters.num_warps):
            scratch = level.row, level.cells, level.weights, level.weights.reshape(-1)
            kernels.linearise(first, flat, stride, *level.flow, *level.data, step, *scratch)
            for _ in range(parameters.outer_iterations):
                self._filter(level.flow)
                counted = most, tau, limit, parameters.inner_iterations
                change = kernels.iterate(*level.flow, *level.duals, *level.data, level.row, *counted)
                if change <= limit:
                    break

    def _filter(self, flow: np.ndarray) -> None:
        if self.parameters.median_px > 1:
            with _all_instructions():
                for component in flow[:, :, :-1]:
                    cv2.medianBlur(component, self.parameters.median_px, dst=component)


@contextmanager
def _all_instructions() -> Iterator[None]:
    """Lets OpenCV use all the instructions that the processor has: a median is the same by any of them."""
    before = cv2.useOptimized()
    cv2.setUseOptimized(True)
    try:
        yield
    finally:
        cv2.setUseOptimized(before)
