"""What a split was made with, by which its metadata and each of its records are told to be right.

It is written down twice: in `state/`, before any shard is made, and as the configuration in `info-<split>.json`, by
which a copy is verified that has left `state/` behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from beam_pipeline.finalize import describe_media
from beam_pipeline.media.settings import Audio, Encode, Flow, MediaSettings, TVL1Parameters
from beam_pipeline.media.task import RECORD_REVISION
from tf_data import contract


def media_made_with(settings: Mapping[str, Any] | None, info: Mapping[str, Any] | None) -> MediaSettings | None:
    """Returns what decided a split's pixels and samples; None where nothing says so, or another revision made them.

    Args:
      settings: how its shards were made, from `state/`; None where there is no such file.
      info: its metadata; None where there is none.
    """
    values = settings if settings is not None else (info or {}).get("configuration")
    try:
        if not values or values.get("record_revision", RECORD_REVISION) != RECORD_REVISION:
            return None
        encode, flow, audio = values["encode"], values["flow"], values["audio"]
        return MediaSettings(
            Encode(**encode | {"fps": Fraction(str(encode["fps"]))}),
            Flow(**flow | {"tvl1": TVL1Parameters(**flow["tvl1"]) if flow.get("tvl1") else None}) if flow else None,
            Audio(**audio) if audio else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def info_of(media: MediaSettings) -> dict[str, Any]:
    """Returns what metadata says of records that were made with some settings, as JSON has it."""
    return json.loads(json.dumps(describe_media(media)))


def facts_of(media: MediaSettings) -> dict[str, bytes | float]:
    """Returns what the context of each record says of how it was made, by key; numbers as float32 holds them."""
    rate = _float32(media.encode.fps)
    facts: dict[str, bytes | float] = {
        f"{contract.IMAGE_PREFIX}/format": b"JPEG",
        f"{contract.IMAGE_PREFIX}/frame_rate": rate,
    }
    if flow := media.flow:
        parameters = json.dumps(flow.parameters, sort_keys=True, separators=(",", ":"))
        facts |= {
            f"{contract.FLOW_PREFIX}/format": b"PNG" if flow.storage == "png" else b"JPEG",
            f"{contract.FLOW_PREFIX}/frame_rate": rate,
            contract.FLOW_METHOD: flow.method.encode(),
            contract.FLOW_PARAMETERS: parameters.encode(),
            contract.FLOW_ROUNDING: flow.rounding.encode(),
            contract.FLOW_SATURATION: _float32(flow.bound_px),
        }
    if media.audio:
        facts[contract.AUDIO_SAMPLE_RATE] = _float32(media.audio.sample_rate)
    return facts


def _float32(number: float | Fraction) -> float:
    return float(np.float32(float(number)))
