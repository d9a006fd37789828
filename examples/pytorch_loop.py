"""Trains a small (2+1)D network (Tran et al., https://arxiv.org/abs/1711.11248) in a PyTorch loop, by tf_data.as_numpy.

    python examples/pytorch_loop.py k400 --data_dir /data/tfrecords --size 112 --checkpoint k400.pt
    python examples/pytorch_loop.py demo --data_dir demo --flip_probability 0

The second one is for the data set of `make demo`. PyTorch is not among the project's requirements: `pip install torch`.
"""

import argparse
from itertools import islice, pairwise
from pathlib import Path

# PyTorch first: where Triton is, TensorFlow and then `_dynamo` end the process, since both bring an LLVM.
import torch
import torch._dynamo  # isort: split

import tensorflow as tf

import tf_data


def build(num_classes: int, widths: tuple[int, ...] = (3, 24, 48, 96)) -> torch.nn.Module:
    """Returns a model from (batch, 3, frames, height, width) to logits (batch, num_classes)."""
    nn, layers = torch.nn, []
    for before, after in pairwise(widths):
        in_space = nn.Conv3d(before, after, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        in_time = nn.Conv3d(after, after, (3, 1, 1), padding=(1, 0, 0), bias=False)
        layers += [in_space, nn.BatchNorm3d(after), nn.ReLU(), in_time, nn.BatchNorm3d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(widths[-1], num_classes))


def main(argv: list[str] | None = None) -> list[tuple[float, float]]:
    """Trains; returns of each epoch the mean loss, and the share of `val` that is told right after it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the data set, as in tf_data.load")
    parser.add_argument("--data_dir")
    for option, default in {"size": 64, "num_frames": 16, "batch_size": 8, "epochs": 20}.items():
        parser.add_argument(f"--{option}", type=int, default=default, help="(default: %(default)s)")
    parser.add_argument("--flip_probability", type=float, default=0.5, help="0 where classes tell left from right")
    parser.add_argument("--checkpoint", type=Path, help="goes on from this file, and is written after each epoch")
    asked = parser.parse_args(argv)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    tf.config.set_visible_devices([], "GPU")  # TensorFlow only reads: the GPU's memory is PyTorch's
    views = {"num_frames": asked.num_frames, "fps": 12.5, "shorter_side": asked.size * 8 // 7, "crop_size": asked.size}
    source = {"data_dir": asked.data_dir, "batch_size": asked.batch_size, "seed": 0, "with_info": True, **views}
    endless = {"num_epochs": None, "flip_probability": asked.flip_probability}  # a place to go on from is never an end
    train, info = tf_data.load(asked.name, split="train", **endless, **source)
    batches, steps = tf_data.as_numpy(train, dlpack=True), max(1, info.num_examples // asked.batch_size)
    val = tf_data.as_numpy(tf_data.load(asked.name, split="val", **source)[0], dlpack=True)

    def taken(batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        rgb, label = (torch.from_dlpack(batch[key]).to(device) for key in ("rgb", "label"))
        return rgb.permute(0, 4, 1, 2, 3), label  # PyTorch has channels before time

    model = build(len(info.label_names)).to(device)
    optimizer, history = torch.optim.AdamW(model.parameters(), 0.005), []
    if asked.checkpoint and asked.checkpoint.exists():
        *states, history, place = torch.load(asked.checkpoint, weights_only=True)
        model.load_state_dict(states[0]), optimizer.load_state_dict(states[1]), batches.restore(place)
    for epoch in range(len(history), asked.epochs):
        losses = []
        for rgb, label in islice(map(taken, batches), steps):
            loss = torch.nn.functional.cross_entropy(model.train()(rgb), label)
            optimizer.zero_grad(), loss.backward(), optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            right = torch.cat([model.eval()(rgb).argmax(1).eq(label) for rgb, label in map(taken, val)])
        history.append((sum(losses) / len(losses), right.float().mean().item()))
        print(f"epoch {epoch + 1}: loss {history[-1][0]:.3f}, val {history[-1][1]:.1%}", flush=True)
        if asked.checkpoint:
            place = batches.save(f"{asked.checkpoint}-input-{epoch}")
            torch.save([model.state_dict(), optimizer.state_dict(), history, place], asked.checkpoint)
    return history


if __name__ == "__main__":
    main()
