"""TV-L1 optical flow as in OpenCV, many times as fast (benchmarks/flow.py)."""

from beam_pipeline.media.tvl1.estimator import TVL1, compile_once

__all__ = ["TVL1", "compile_once"]
