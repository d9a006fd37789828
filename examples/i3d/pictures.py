"""Pictures of what a model has learnt: its confusions, and how it came to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_MOST_NAMES = 60  # classes beyond which their names are too small to read

Curve = Mapping[int, float]  # values by step


def draw_confusion(path: Path, confusion: np.ndarray, label_names: Sequence[str], title: str) -> None:
    """Draws what clips of each class were taken for.

    Args:
      path: of the picture; its suffix says the format.
      confusion: int64 (classes, classes): clips by label, a row each, and by prediction.
      label_names: by index.
      title: above the picture.
    """
    num_classes = len(label_names)
    named = num_classes <= _MOST_NAMES
    side = max(5.0, 0.32 * num_classes + 2.5) if named else 9.0
    figure = Figure(figsize=(side, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, shrink=0.5, label="share of the class's clips")
    axes.set(title=title, xlabel="predicted", ylabel="label")
    if named:
        names = [_plain(name) for name in label_names]
        axes.set_xticks(range(num_classes), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(num_classes), names)
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight")  # names and title may be longer than the matrix is wide


def draw_curves(path: Path, runs: Mapping[str, tuple[Curve, Curve]], chance: float, title: str) -> None:
    """Draws the loss in training and the accuracy on held-out clips of runs, side by side.

    Args:
      path: of the picture; its suffix says the format.
      runs: by name the losses and the shares of right predictions.
      chance: the share that guessing would have right.
      title: above the picture.
    """
    figure = Figure(figsize=(10, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, (losses, accuracies) in runs.items():
        steps = sorted(losses)
        left.plot(steps, _smooth([losses[step] for step in steps]), label=_plain(name))
        steps = sorted(accuracies)
        right.plot(steps, [100 * accuracies[step] for step in steps], marker="o", markersize=3, label=_plain(name))
    right.axhline(100 * chance, color="grey", linestyle=":", label="chance")
    left.set(xlabel="step", ylabel="loss in training", ylim=(0, None))
    right.set(xlabel="step", ylabel="top-1 on held-out clips, %", ylim=(0, 102))
    right.legend(frameon=False, loc="center right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _smooth(values: Sequence[float], width: int = 9) -> np.ndarray:
    """The mean over `width` neighbours, fewer at the ends."""
    ones = np.convolve(np.ones(len(values)), np.ones(width), mode="full")
    sums = np.convolve(values, np.ones(width), mode="full")
    middle = slice(width // 2, width // 2 + len(values))
    return (sums / ones)[middle]


def _plain(text: str) -> str:
    """A text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")
