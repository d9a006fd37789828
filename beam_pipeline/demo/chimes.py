"""Sound for the demo's films: soft chimes at random moments, which tell nothing about what moves."""

from __future__ import annotations

import numpy as np

_PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16)  # semitones above the key: any of these sound well together
_PARTIALS = ((1.0, 1.0), (2.0, 0.35), (3.01, 0.15), (4.2, 0.08))  # (frequency, loudness), a little out of tune: a bell


def make_chimes(duration_s: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Returns float32 mono samples (round(duration_s·sample_rate),) within ±0.6."""
    times_s = np.arange(round(duration_s * sample_rate), dtype=np.float32) / np.float32(sample_rate)
    sound = np.zeros_like(times_s)
    key_hz = 220 * 2 ** (int(rng.integers(0, 12)) / 12)
    strike_s = float(rng.uniform(0, 0.15))
    while strike_s < duration_s:
        note_hz = key_hz * 2 ** (int(rng.choice(_PENTATONIC)) / 12)
        since_s = times_s[: len(times_s) - round(strike_s * sample_rate)]
        swing = sum(loudness * np.sin(2 * np.pi * note_hz * part * since_s) for part, loudness in _PARTIALS)
        swell_and_fade = np.exp(-4 * since_s) * (1 - np.exp(-300 * since_s))
        sound[len(sound) - len(since_s) :] += float(rng.uniform(0.4, 1)) * swing * swell_and_fade
        strike_s += float(rng.choice([0.2, 0.3, 0.4, 0.6]))
    return sound * np.float32(0.6 / max(1e-9, float(np.abs(sound).max(initial=0))))
