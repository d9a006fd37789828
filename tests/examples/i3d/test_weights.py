"""Published weights go to the variables of their names, whatever form the checkpoint has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from examples.i3d.model import build_i3d
from examples.i3d.weights import load_tf1_weights, open_weights
from tests.examples.i3d import published


@pytest.fixture(scope="module")
def flow_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, np.ndarray]]:
    prefix = tmp_path_factory.mktemp("flow") / "model.ckpt"
    return str(prefix), published.write_checkpoint(prefix, published.shapes("flow", 7))


def test_a_checkpoint_of_kinetics_400_is_loaded_by_its_names(flow_checkpoint: tuple[str, dict]) -> None:
    prefix, values = flow_checkpoint
    trained = open_weights(prefix)
    assert (trained.stream, trained.num_classes, trained.settings) == ("flow", 7, None)
    for variable in trained.model.variables:
        np.testing.assert_array_equal(variable, values[variable.name.removesuffix(":0")])


def test_the_checkpoint_of_kinetics_600_is_loaded_by_its_short_names(tmp_path: Path) -> None:
    prefix = tmp_path / "model.ckpt"
    values = published.write_checkpoint(prefix, published.k600_shapes())
    trained = open_weights(str(prefix))
    assert (trained.stream, trained.num_classes) == ("rgb", 600)
    for variable in trained.model.variables:
        value = values[variable.name.removesuffix(":0").removeprefix("RGB/inception_i3d/")]
        np.testing.assert_array_equal(variable, value.reshape(variable.shape))


def test_logits_can_be_left_for_other_classes(flow_checkpoint: tuple[str, dict]) -> None:
    prefix, values = flow_checkpoint
    model = build_i3d("flow", 3)
    before = model.logits.w.numpy()
    load_tf1_weights(model, prefix, skip_logits=True)
    np.testing.assert_array_equal(model.logits.w, before)
    np.testing.assert_array_equal(model.conv_1a.conv.w, values["Flow/inception_i3d/Conv3d_1a_7x7/conv_3d/w"])


@pytest.mark.parametrize(
    ("stream", "num_classes", "message"),
    [
        ("flow", 3, r"Logits/Conv3d_0c_1x1/conv_3d/. is .*7.*, expected .*3.*; for other classes, leave the logits"),
        ("rgb", 7, "has no variable RGB/inception_i3d/.*: it is of another network or stream"),
    ],
)
def test_weights_of_another_network_change_nothing(
    stream: str, num_classes: int, message: str, flow_checkpoint: tuple[str, dict]
) -> None:
    model = build_i3d(stream, num_classes)
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(ValueError, match=message):
        load_tf1_weights(model, flow_checkpoint[0])
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_an_index_without_its_data_is_told(flow_checkpoint: tuple[str, dict], tmp_path: Path) -> None:
    shutil.copy(f"{flow_checkpoint[0]}.index", tmp_path / "model.ckpt.index")
    with pytest.raises(ValueError, match=r"model.ckpt: its values can't be read, is its .data file beside it\?"):
        open_weights(str(tmp_path / "model.ckpt"))


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is neither a run's folder"):
        open_weights(str(tmp_path / "nothing"))


def test_a_checkpoint_of_something_else_is_told(tmp_path: Path) -> None:
    published.write_checkpoint(tmp_path / "other.ckpt", {"resnet/conv/w": (1, 2)})
    with pytest.raises(ValueError, match="it is no checkpoint of I3D"):
        open_weights(str(tmp_path / "other.ckpt"))
