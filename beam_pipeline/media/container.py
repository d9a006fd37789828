"""Opens a stranger's media file: known containers only, whatever its name says, and never another file through it."""

from __future__ import annotations

from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.container.core import Flags

from beam_pipeline.clips import ClipError
from beam_pipeline.media.section_tag import TAG
from beam_pipeline.media.stored_file import reading
from beam_pipeline.media.task import UnreadFileError

# Demuxers of single media files. Left out on purpose: playlists and scripts (hls, concat, dash, …), which would make
# libavformat open other files or URLs at a stranger's word.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,ogg,mpegts,mpeg,mpegvideo,asf,asf_o,rm,h264,hevc,av1,"
    "obu,ivf,m4v,mjpeg,gif,nut,mxf,dv,wtv,wav,mp3,aac,flac"
)


def open_container(source: str | BinaryIO) -> InputContainer:
    """Opens a local path, any Beam file system's URL, or a file from its beginning; close it, or use it in a `with`.

    A section that was cut out of a video (`section.cut_section`) is opened without applying its edit list, so that
    what lies before the clip can be had, at negative times.

    Raises:
      ClipError: `not_found` where there is no such file, `network` where its store does not give it, `unsupported` for
        a format that is not a media container, `unreadable` for anything that libavformat can't open.
    """
    container = _open(source, {})
    if TAG not in container.metadata:
        return container
    container.close()
    return _open(source, {"advanced_editlist": "0"})


def _open(source: str | BinaryIO, options: dict[str, str]) -> InputContainer:
    try:
        if not isinstance(source, str):
            source.seek(0)
        elif "://" in source:
            from beam_pipeline import files  # a local job's decoders never pay for importing Beam

            with reading(source):
                source = files.open_for_reading(source)
        container = av.open(
            source,
            "r",
            metadata_errors="ignore",  # tags in other encodings than UTF-8 are common and never needed
            options={"format_whitelist": _DEMUXERS, **options},
        )
    except FileNotFoundError as error:
        raise UnreadFileError("not_found", "the file has gone since the store was listed") from error
    except av.error.FFmpegError as error:
        raise ClipError("unreadable", f"libavformat can't open it: {error.strerror}") from error
    container.flags &= ~cast(int, Flags.gen_pts.value)  # on by default in PyAV; what it generates for AVI is wrong
    return container
