"""The doors of a visiting process: what it calls at its start and for each video.

yt-dlp is loaded behind these functions, in the process that calls them and nowhere else.
"""

from __future__ import annotations

from typing import Any

from beam_pipeline.media.process import use_store_options
from beam_pipeline.sources.youtube import Visited, VisitTask


def prepare_visits(store_options: dict[str, Any] | None = None) -> None:
    """Makes a process ready for `run_visit`.

    Args:
      store_options: as `media.process.prepare_decoder`.
    """
    from beam_pipeline.sources import youtube

    use_store_options(store_options)
    youtube.prepare_visits()


def run_visit(task: VisitTask) -> Visited:
    """Runs `youtube.visit`."""
    from beam_pipeline.sources.youtube import visit

    return visit(task)
