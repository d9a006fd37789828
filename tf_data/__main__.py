"""`python -m tf_data k400 --split val`: reads one batch, and says what is in it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Loads one batch of a data set as a model would, and prints the shape, dtype and range of all that is in it."""
    parser = argparse.ArgumentParser(prog="python -m tf_data", description=main.__doc__)
    parser.add_argument("name", help="name[/config][:version], or the folder of one")
    parser.add_argument("--split", default="train")
    parser.add_argument("--data_dir", help="default: $KINETICS_DATA_DIR, else ~/kinetics_tfrecords")
    parser.add_argument("--streams", default="rgb", help="of rgb, flow and audio, separated by commas (default: rgb)")
    parser.add_argument("--batch_size", type=int, default=4)
    arguments = parser.parse_args(argv)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up messages, before it is loaded
    import tf_data
    from tf_data.catalog import DatasetNotFoundError

    try:
        dataset, info = tf_data.load(
            arguments.name,
            split=arguments.split,
            data_dir=arguments.data_dir,
            streams=arguments.streams.split(","),
            batch_size=arguments.batch_size,
            extras=("clip_id", "label_name"),
            with_info=True,
        )
    except (DatasetNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{info.name} {arguments.split}: {info.num_examples:,} clips, {len(info.label_names):,} classes")
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


if __name__ == "__main__":
    sys.exit(main())
