"""Small real H.264 files for tests of the job."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, seconds: float = 1.2, hue: int = 0, fps: int = 25, side: int = 64) -> None:
    """Writes a clip of a bright block that moves over a dark ground; `hue` makes its bytes differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "30", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = side + 16, side, "yuv420p"
        stream.thread_count = 1
        for k in range(round(seconds * fps)):
            picture = np.full((side, side + 16, 3), 40, np.uint8)
            picture[20:40, (k * 2) % side : (k * 2) % side + 12] = (200, hue % 256, 255 - hue % 256)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_list(path: Path, clip_ids: list[str], label: str = "juggling balls", split: str = "train") -> None:
    """Writes a Kinetics CSV whose rows are these clips, `{id}_{start}_{end}`."""
    rows = ["label,youtube_id,time_start,time_end,split"]
    for clip_id in clip_ids:
        video_id, start, end = clip_id.rsplit("_", 2)
        rows.append(f"{label},{video_id},{int(start)},{int(end)},{split}")
    path.write_text("\n".join(rows) + "\n")
