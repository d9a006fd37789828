"""From two frames to their flow: the pyramid, the warps on each of its levels, and the runs of sweeps.

Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical flow" (DAGM 2007), in the form that
Sánchez, Meinhardt-Llopis and Facciolo gave it (IPOL 2013) and OpenCV's `DualTVL1OpticalFlow` took over: a median filter
before each run of sweeps, and sweeps until the flow hardly changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
from pathlib import Path

import cv2
import numpy as np

from beam_pipeline.media.settings import TVL1Parameters
from beam_pipeline.media.tvl1 import medians, sweeps, warps
from beam_pipeline.media.tvl1.fields import BY_X, U, V, new_fields
from beam_pipeline.media.tvl1.lanes import padded

_MIN_LEVEL_PX = 16  # a level of the pyramid that is smaller is left out, as in OpenCV
_DEFAULTS = TVL1Parameters()


class _Level:
    """The buffers of one level of the pyramid."""

    def __init__(self, height: int, width: int):
        def zeros(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        margins = 2 * warps.MARGIN
        self.size = width, height
        self.rows = [zeros(height, padded(width)) for _ in range(2)]
        self.images = [rows[:, :width] for rows in self.rows]
        self.channels = [zeros(height + margins, width + margins, warps.CHANNELS) for _ in range(2)]
        self.fields = new_fields(height, width)
        self.flow = [self.fields[1:-1, field, :width] for field in (U, V)]
        self.sweeps = sweeps.new_scratch()
        self.medians = medians.new_scratch(width)
        self.warps = warps.new_scratch(width)
        self.unmoved = warps.new_unmoved(height, width)


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
            level.fields[:, :BY_X] = 0
            if coarser is not None:
                for flow, smaller in zip(level.flow, coarser.flow, strict=True):
                    enlarged = cv2.resize(smaller, level.size, interpolation=cv2.INTER_LINEAR)
                    np.multiply(enlarged, np.float32(1 / self.parameters.level_scale), out=flow)
            self._solve(level, level.rows[first], level.channels[self._turn], step)
            coarser = level
        return np.stack(self._levels[0].flow, axis=-1) / step

    def _prepare(self, frame: np.ndarray) -> None:
        self._last, self._turn = frame, 1 - self._turn
        finer, scale = None, self.parameters.level_scale
        for level in self._levels:
            image = level.images[self._turn]
            if finer is None:
                image[:] = frame
            else:  # by the factor, as OpenCV does: the quotient of the sizes, which are rounded, is another one
                cv2.resize(finer, None, dst=image, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            warps.lay_out(level.rows[self._turn], level.size[0], level.channels[self._turn])
            finer = image

    def _solve(self, level: _Level, first: np.ndarray, channels: np.ndarray, step: np.float32) -> None:
        parameters, fields, (width, height) = self.parameters, level.fields, level.size
        most, tau = np.float32(parameters.data_weight * parameters.theta), np.float32(parameters.tau)
        limit = np.float32(parameters.epsilon_px**2 * width * height * float(step) ** 2)
        level.unmoved[:] = False
        at_rest = sweeps.at_rest(fields, width)
        for _ in range(parameters.num_warps):
            warps.linearise(first, channels, fields, width, step, level.unmoved, *level.warps)
            for _ in range(parameters.outer_iterations):
                if parameters.median_px > 1:
                    for field in (U, V):
                        medians.filter_median(fields, field, width, parameters.median_px, *level.medians)
                if sweeps.iterate(fields, width, most, tau, limit, parameters.inner_iterations, *level.sweeps):
                    break
            at_rest = at_rest and sweeps.at_rest(fields, width)
            if at_rest:  # the next warp would begin and end as this one did
                break


@functools.cache
def compile_once() -> None:
    """Compiles all that TV-L1 takes, once a machine: a second or two, and a tenth of one wherever it is in the cache.

    Processes that start together take turns, so that the first one compiles for all. Without a folder that can keep
    the cache each of them has to.
    """
    folder = sweeps.iterate.stats.cache_path
    with contextlib.ExitStack() as until_done:
        if folder:
            with contextlib.suppress(OSError):
                Path(folder).mkdir(parents=True, exist_ok=True)
                lock = until_done.enter_context(Path(folder, "compiling.lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        frame = np.zeros((_MIN_LEVEL_PX, _MIN_LEVEL_PX), np.uint8)
        TVL1(*frame.shape)(frame, frame)
