"""Little films of flowers in motion: what moves tells the classes apart, and no single frame does.

Every class shows the same things: flowers of random place, size, orientation, shape and colour over a background that
stands still. They leave on one side and come in again on the other, grow out of nothing and fade when they are large;
so at any instant places are uniform, sizes log-uniform and orientations uniform, whatever the class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

WIDTH_PX, HEIGHT_PX = 192, 144

_MIN_RADIUS_PX, _MAX_RADIUS_PX = 9.0, 34.0
_OCTAVES = math.log2(_MAX_RADIUS_PX / _MIN_RADIUS_PX)
_FADE = 0.12  # of the way from the smallest to the largest size, at both ends
# Flowers wander over a field that is larger than the picture, so that they leave it wholly before they come in again.
_FIELD_WIDTH_PX, _FIELD_HEIGHT_PX = WIDTH_PX + 2 * _MAX_RADIUS_PX, HEIGHT_PX + 2 * _MAX_RADIUS_PX
_COLUMNS, _ROWS = 4, 3
_SHADOW_PX = (1.5, 3.0, 4.0)  # to the right, down, and how soft


@dataclass(frozen=True, slots=True)
class Motion:
    """What all flowers of a film do: move (y downwards), turn (clockwise) and grow (in doublings)."""

    x_px_s: float = 0.0
    y_px_s: float = 0.0
    turn_deg_s: float = 0.0
    octaves_s: float = 0.0


MOTIONS = {
    "drifting left": Motion(x_px_s=-40),
    "drifting right": Motion(x_px_s=40),
    "floating up": Motion(y_px_s=-60),
    "growing": Motion(octaves_s=1.2),
    "racing left": Motion(x_px_s=-120),
    "racing right": Motion(x_px_s=120),
    "shrinking": Motion(octaves_s=-1.2),
    "sinking down": Motion(y_px_s=60),
    "turning clockwise": Motion(turn_deg_s=240),
    "turning counterclockwise": Motion(turn_deg_s=-240),
}

# Two tones of the background, then what the flowers are painted with.
_PALETTES = (
    ("f3e9dc", "e2d3c3", "c8553d", "588b8b", "f28f3b", "2d3047", "93b7be"),
    ("dcebf2", "c4dbe6", "ef6f6c", "465775", "56a3a6", "f2ae72", "7d5ba6"),
    ("e9f0e1", "d3e0c8", "4f772d", "d68c45", "90a955", "bc4749", "31572c"),
    ("efe6f2", "dccfe3", "7b2d8b", "e56b6f", "355070", "eaac8b", "b56576"),
    ("26324a", "31405e", "ffd166", "ef798a", "7dcfb6", "f7f4ea", "6fa8dc"),
    ("f7ecd9", "efdcbb", "d1495b", "00798c", "edae49", "30638e", "7a9e7e"),
    ("1f3a3d", "2a4d4f", "f4d58d", "f2e8cf", "e07a5f", "81b29a", "a7c957"),
    ("f6e4e4", "ecd0cf", "9d4edd", "3a86a8", "ff7d7d", "5f0f40", "f0a868"),
)


@dataclass(frozen=True, slots=True)
class _Flower:
    """One flower at time 0; `size` is 0 for the smallest and 1 for the largest, in equal steps of doubling."""

    x_px: float
    y_px: float
    size: float
    angle_rad: float
    petals: int
    depth: float  # of the notches between the petals, relative to the radius
    colour: np.ndarray
    heart: np.ndarray


@dataclass(frozen=True, slots=True)
class Scene:
    """One film: its background, float32 RGB 0–255 (height, width, 3), its flowers, and how they move."""

    background: np.ndarray
    flowers: tuple[_Flower, ...]
    motion: Motion


def make_scene(label: str, rng: np.random.Generator) -> Scene:
    """Draws a film of a class of `MOTIONS` by lot; nothing but its motion depends on the class."""
    palette = [_rgb(colour) for colour in _PALETTES[rng.integers(len(_PALETTES))]]
    background = _background(palette[0], palette[1], rng)
    cells = rng.permutation(_COLUMNS * _ROWS)[: rng.integers(7, 11)]
    corner = rng.random(2)
    flowers = tuple(_flower(int(cell), corner, palette[2:], rng) for cell in cells)
    pace = float(rng.uniform(0.85, 1.15))
    motion = MOTIONS[label]
    return Scene(
        background,
        flowers,
        Motion(motion.x_px_s * pace, motion.y_px_s * pace, motion.turn_deg_s * pace, motion.octaves_s * pace),
    )


def draw(scene: Scene, time_s: float) -> np.ndarray:
    """Returns the picture at a time, uint8 RGB (height, width, 3)."""
    picture = scene.background.copy()
    for flower in scene.flowers:
        _paint(picture, flower, scene.motion, time_s)
    return np.rint(picture).astype(np.uint8)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], np.float32)


def _background(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two tones flowing into each other, with the grain of paper: something that flow can see standing still."""
    size = (WIDTH_PX, HEIGHT_PX)
    clouds = cv2.resize(rng.random((4, 5), np.float32), size, interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.standard_normal((HEIGHT_PX, WIDTH_PX), np.float32), (0, 0), 1.2) * 13
    blotches = cv2.GaussianBlur(rng.standard_normal((HEIGHT_PX, WIDTH_PX), np.float32), (0, 0), 5) * 60
    mixed = first + (second - first) * np.clip(clouds, 0, 1)[..., np.newaxis]
    return np.clip(mixed + (grain + blotches)[..., np.newaxis], 0, 255).astype(np.float32)


def _flower(cell: int, corner: np.ndarray, colours: list[np.ndarray], rng: np.random.Generator) -> _Flower:
    """Draws a flower somewhere in a cell of a grid whose corner may lie anywhere, so that few of them overlap."""
    colour, heart = rng.choice(len(colours), 2, replace=False)
    return _Flower(
        x_px=(corner[0] + (cell % _COLUMNS + rng.uniform(0, 0.7)) / _COLUMNS) % 1 * _FIELD_WIDTH_PX,
        y_px=(corner[1] + (cell // _COLUMNS + rng.uniform(0, 0.7)) / _ROWS) % 1 * _FIELD_HEIGHT_PX,
        size=rng.uniform(),
        angle_rad=rng.uniform(0, 2 * np.pi),
        petals=int(rng.integers(3, 7)),
        depth=rng.uniform(0.12, 0.22),
        colour=colours[colour],
        heart=colours[heart],
    )


def _paint(picture: np.ndarray, flower: _Flower, motion: Motion, time_s: float) -> None:
    x_px = float((flower.x_px + motion.x_px_s * time_s) % _FIELD_WIDTH_PX - _MAX_RADIUS_PX)
    y_px = float((flower.y_px + motion.y_px_s * time_s) % _FIELD_HEIGHT_PX - _MAX_RADIUS_PX)
    size = (flower.size + motion.octaves_s * time_s / _OCTAVES) % 1
    radius_px = _MIN_RADIUS_PX * 2 ** (size * _OCTAVES)
    angle_rad = flower.angle_rad + math.radians(motion.turn_deg_s) * time_s
    opacity = _smooth(size / _FADE) * _smooth((1 - size) / _FADE)

    right_px, down_px, soft_px = _SHADOW_PX
    reach_px = radius_px + max(right_px, down_px) + soft_px
    left, right = max(0, int(x_px - reach_px)), min(WIDTH_PX, int(x_px + reach_px) + 2)
    top, bottom = max(0, int(y_px - reach_px)), min(HEIGHT_PX, int(y_px + reach_px) + 2)
    if left >= right or top >= bottom:
        return
    patch = picture[top:bottom, left:right]
    x = np.arange(left, right, dtype=np.float32)[np.newaxis] - x_px
    y = np.arange(top, bottom, dtype=np.float32)[:, np.newaxis] - y_px

    distance_px = np.sqrt(x * x + y * y)
    notches = 1 - np.cos(flower.petals * (np.arctan2(y, x) - angle_rad))
    outline_px = radius_px * (1 - flower.depth / 2 * notches)
    heart_x_px = 0.3 * radius_px * math.cos(angle_rad)  # off the middle, so that a turn shows
    heart_y_px = 0.3 * radius_px * math.sin(angle_rad)
    heart_px = np.sqrt((x - heart_x_px) ** 2 + (y - heart_y_px) ** 2) - 0.27 * radius_px
    shadow_px = np.sqrt((x - right_px) ** 2 + (y - down_px) ** 2) - outline_px
    shade = 1 - 0.28 * np.clip(distance_px / radius_px, 0, 1)[..., np.newaxis] ** 2
    _blend(patch, np.zeros(3, np.float32), 0.22 * opacity * np.clip(0.5 - shadow_px / (2 * soft_px), 0, 1))
    _blend(patch, flower.colour * shade, opacity * np.clip(0.5 - (distance_px - outline_px), 0, 1))
    _blend(patch, flower.heart, opacity * np.clip(0.5 - heart_px, 0, 1))


def _blend(patch: np.ndarray, colour: np.ndarray, coverage: np.ndarray) -> None:
    patch += (colour - patch) * coverage[..., np.newaxis]


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
