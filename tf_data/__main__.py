"""`python -m tf_data k400 --split val`: reads one batch, and says what is in it."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from tf_data.quiet import load_tensorflow


def main(argv: Sequence[str] | None = None) -> int:
    """Loads one batch of a data set as a model would, and prints the shape, dtype and range of all that is in it."""
    parser = argparse.ArgumentParser(prog="python -m tf_data", description=main.__doc__)
    parser.add_argument("name", help="name[/config][:version], or the folder of one")
    parser.add_argument("--split", default="train", help="also a part, as in val[:10%%] (default: train)")
    parser.add_argument("--data_dir", help="default: $KINETICS_DATA_DIR, else ~/kinetics_tfrecords")
    parser.add_argument("--streams", help="of rgb, flow and audio, separated by commas (default: all that there are)")
    parser.add_argument("--batch_size", type=int, default=4, help="clips to show (default: 4)")
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of labels, what a terminal's encoding lacks

    load_tensorflow()
    from tf_data.catalog import DatasetNotFoundError
    from tf_data.loading import load

    def loaded(streams: Sequence[str]) -> tuple:
        return load(
            arguments.name,
            split=arguments.split,
            data_dir=arguments.data_dir,
            streams=streams,
            batch_size=arguments.batch_size,
            seed=0,
            extras=("clip_id", "label_name"),
            with_info=True,
        )

    try:
        if arguments.streams:
            dataset, info = loaded(arguments.streams.split(","))
        else:
            _, info = loaded(["rgb"])
            dataset, info = loaded(info.streams)
    except (DatasetNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    classes = _counted(len(info.label_names), "class", "classes") if info.label_names else "no labels"
    print(f"{info.title} {arguments.split}: {_counted(info.num_examples, 'clip', 'clips')}, {classes}")
    for batch in dataset.take(1):
        for key, value in batch.items():
            array = value.numpy()
            told = (
                f"from {array.min():.3g} to {array.max():.3g}"
                if array.dtype.kind == "f"
                else ", ".join(item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel())
            )
            print(f"  {key:<10} {value.dtype.name:<8} {tuple(array.shape)!s:<24} {told}")
    return 0


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


if __name__ == "__main__":
    sys.exit(main())
