"""The doors of a decoding process: what it calls at its start and for each clip.

The decoder's libraries are loaded behind these functions, in the process that calls them and nowhere else.
"""

from __future__ import annotations

from typing import Any

from beam_pipeline.media.settings import Flow
from beam_pipeline.media.task import ClipTask, EncodedClip, Probed, ProbeTask


def prepare_decoder(store_options: dict[str, Any] | None = None, flow: Flow | None = None) -> None:
    """Makes a process ready for `run_clip_task`: its libraries loaded, one thread, memory kept from clip to clip.

    Args:
      store_options: Beam's pipeline options, without which its file systems can't open a remote store; None for a local
        one, whose decoders never pay for importing Beam.
      flow: what clips will be asked for.
    """
    import cv2

    from beam_pipeline.media import encoding  # noqa: F401 - loaded now, so that no clip's budget pays for it
    from beam_pipeline.media.flow import METHODS, flow_estimator
    from beam_pipeline.media.memory import reuse_freed_memory

    use_store_options(store_options)
    if flow and flow.method in METHODS:
        flow_estimator(flow)  # compiled now, or loaded
    cv2.setNumThreads(1)
    reuse_freed_memory()


def use_store_options(store_options: dict[str, Any] | None) -> None:
    """Gives Beam's file systems the pipeline's options, unless there are none."""
    if store_options is not None:
        from apache_beam.io.filesystems import FileSystems
        from apache_beam.options.pipeline_options import PipelineOptions

        from beam_pipeline import files  # noqa: F401 - loaded now, so that no clip's budget pays for it

        FileSystems.set_options(PipelineOptions.from_dictionary(store_options))


def run_clip_task(task: ClipTask) -> EncodedClip:
    """Runs `encoding.encode_clip`."""
    from beam_pipeline.media.encoding import encode_clip

    return encode_clip(task)


def run_probe_task(task: ProbeTask) -> Probed:
    """Runs `probing.probe_clip`."""
    from beam_pipeline.media.probing import probe_clip

    return probe_clip(task)
