"""Several data sets read as one: by turns, by weights, in one label space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tf_data
from tests.tf_data.conftest import FakeClip, write_split
from tf_data import contract


def _write(folder: Path, labels: Sequence[str], count: int, prefix: str, **metadata: Any) -> str:
    """A data set of `count` clips whose labels go round, with that list of label names; returns its folder."""
    clips = [FakeClip(f"{prefix}{k:06d}_000000_000010", label=k % len(labels), num_frames=12) for k in range(count)]
    write_split(folder, clips, metadata=metadata)
    (folder / contract.LABELS_FILE).write_text("".join(f"{label}\n" for label in labels))
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """12 clips of animals, and 4 of which two have the same names: both of the same name and version."""
    root = tmp_path_factory.mktemp("together")
    one = _write(root / "a" / "fake" / "1.0.0", ["cat", "dog", "eel", "fox"], 12, "first")
    other = _write(root / "b" / "fake" / "1.0.0", ["ant", "bee", "cat", "dog"], 4, "other")
    return one, other


def _load(names: Sequence[str] | Mapping[str, float], **asked: Any) -> Any:
    values: dict[str, Any] = {"split": "train", "seed": 0, "num_frames": 4, "crop_size": 16, "extras": ["clip_id"]}
    return tf_data.load(names, **(values | asked))


def _ids(ds: Any) -> list[str]:
    return [element["clip_id"].decode() for element in ds.as_numpy_iterator()]


def test_an_epoch_has_every_clip_of_all_once(folders: tuple[str, str]) -> None:
    ds, info = _load(folders, label_names="union", with_info=True)
    assert len(ds) == info.num_examples == 16
    ids = _ids(ds)
    assert len(set(ids)) == 16
    assert ids != sorted(ids)


def test_different_label_lists_are_refused_unless_one_is_asked_for(folders: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"/a/fake/1.0.0 and .*/b/fake/1.0.0 have different labels.*'union'"):
        _load(folders)


def test_in_a_union_a_label_means_what_its_name_says(folders: tuple[str, str]) -> None:
    ds, info = _load(folders, label_names="union", extras=["clip_id", "label_name"], with_info=True)
    assert info.label_names == ("ant", "bee", "cat", "dog", "eel", "fox")
    names = {"first": ["cat", "dog", "eel", "fox"], "other": ["ant", "bee", "cat", "dog"]}
    for element in ds.as_numpy_iterator():
        clip_id = element["clip_id"].decode()
        own = names[clip_id[:5]][int(clip_id[5:11]) % 4]
        assert info.label_names[element["label"]] == own == element["label_name"].decode()


def test_clips_of_classes_that_a_list_lacks_are_left_out_and_told(folders: tuple[str, str]) -> None:
    with pytest.warns(UserWarning, match=r"6 of the 12 clips .* left out: (eel, fox|fox, eel)"):
        ds = _load(folders, label_names=["dog", "cat"])
    labels = Counter(int(element["label"]) for element in ds.as_numpy_iterator())
    assert labels == {0: 4, 1: 4}


def test_weights_are_the_shares_of_an_epoch(folders: tuple[str, str]) -> None:
    ids = _ids(_load({folders[0]: 1, folders[1]: 3}, label_names="union"))
    assert Counter(clip_id[:5] for clip_id in ids) == {"first": 4, "other": 12}
    assert sorted(Counter(ids).values()) == [1] * 4 + [3] * 4


def test_a_clip_that_comes_again_in_an_epoch_is_seen_in_another_view(folders: tuple[str, str]) -> None:
    seen: dict[str, set[bytes]] = {}
    for element in _load({folders[0]: 1, folders[1]: 3}, label_names="union", num_epochs=2).as_numpy_iterator():
        seen.setdefault(element["clip_id"].decode(), set()).add(element["rgb"].tobytes())
    assert all(len(views) >= 4 for clip_id, views in seen.items() if clip_id.startswith("other"))  # of 6


def test_a_clip_that_two_data_sets_have_is_seen_in_two_views(tmp_path: Path) -> None:
    names = [_write(tmp_path / name / "fake" / "1.0.0", ["cat"], 6, "same") for name in "ab"]
    seen: dict[str, set[bytes]] = {}
    for element in _load(names).as_numpy_iterator():
        seen.setdefault(element["clip_id"].decode(), set()).add(element["rgb"].tobytes())
    assert sum(len(views) for views in seen.values()) >= 11  # of 12: chance may draw the same window, crop and flip


def test_what_has_other_numbers_is_not_read_together(tmp_path: Path, folders: tuple[str, str]) -> None:
    slow = _write(tmp_path / "slow" / "1.0.0", ["cat", "dog", "eel", "fox"], 4, "slow_", frame_rate=12.5)
    with pytest.raises(ValueError, match=r"can't be read together: their frame rate is 25.0 and 12.5"):
        _load([folders[0], slow])
    flow = {"method": "tvl1", "bound_px": 10.0, "storage": "jpeg444", "quality": 95}
    small = _write(tmp_path / "small" / "1.0.0", ["cat", "dog", "eel", "fox"], 4, "small", flow=flow)
    with pytest.raises(ValueError, match=r"their bound of flow is 20.0 and 10.0"):
        _load([folders[0], small], streams=["rgb", "flow"])
    assert len(_load([folders[0], small])) == 16  # without flow nothing differs


def test_a_name_given_twice_is_refused(folders: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="names a data set twice"):
        _load([folders[0], folders[0]])


def test_paths_are_taken_as_well(folders: tuple[str, str]) -> None:
    assert len(_load([Path(folder) for folder in folders], label_names="union")) == 16


def test_filters_are_those_of_the_shared_labels(folders: tuple[str, str]) -> None:
    ds = _load(folders, label_names="union", where={"label": ["cat"]})
    assert len(ds) == 4
    assert {int(element["label"]) for element in ds.as_numpy_iterator()} == {2}
    np.testing.assert_array_equal(sorted(i[:5] for i in _ids(ds)), ["first"] * 3 + ["other"])
