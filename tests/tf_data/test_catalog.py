"""Finding a data set by name, and saying what is there when it isn't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tf_data
from tests.tf_data.conftest import make_clips, write_split


def _version(data_dir: Path, name: str = "fake", **keywords: Any) -> str:
    _, info = tf_data.load(name, split="train", data_dir=data_dir, with_info=True, crop_size=16, **keywords)
    return Path(info.folder).relative_to(data_dir).as_posix()


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of `fake`, and `variants` in two configurations."""
    root = tmp_path_factory.mktemp("versions")
    folders = ["fake/1.9.0", "fake/1.10.0", "fake/1.2.11", "variants/rgb/1.0.0", "variants/rgb/2.0.0"]
    for folder in [*folders, "variants/rgb_flow/1.0.0", "only/rgb/3.0.0"]:
        write_split(root / folder, make_clips(2, num_frames=4))
    return root


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("fake", "fake/1.10.0"),
        ("fake:1.9.0", "fake/1.9.0"),
        ("variants/rgb", "variants/rgb/2.0.0"),
        ("variants/rgb:1.0.0", "variants/rgb/1.0.0"),
        ("only", "only/rgb/3.0.0"),
    ],
)
def test_a_name_finds_its_newest_version_by_number(versions: Path, name: str, folder: str) -> None:
    assert _version(versions, name) == folder


def test_the_folder_of_a_version_is_taken_too(versions: Path) -> None:
    assert _version(versions, f"{versions}/fake/1.9.0") == "fake/1.9.0"


def test_the_environment_says_where_data_sets_are(versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINETICS_DATA_DIR", str(versions))
    assert len(tf_data.load("fake", split="train", crop_size=16)) == 2


def test_the_home_folder_is_where_they_are_otherwise(
    versions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KINETICS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "kinetics_tfrecords").symlink_to(versions)
    assert len(tf_data.load("fake", split="train", crop_size=16)) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fakes", r"no data set 'fakes' in .* \(did you mean 'fake'\?\); there are fake, only, variants"),
        ("fake:3.0.0", r"no version '3\.0\.0' of 'fake' .*; there are 1\.10\.0, 1\.2\.11, 1\.9\.0"),
        ("variants/flow", r"'variants' has no configuration 'flow' .* there are rgb, rgb_flow"),
        ("variants", r"several configurations: choose one of 'variants/rgb', 'variants/rgb_flow'"),
        ("a b", r"must be name\[/config\]\[:version\] such as 'k400' .* got 'a b'"),
        ("/nowhere/at/all", r"/nowhere/at/all: no file is there"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(versions: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _version(versions, name)


def test_an_empty_data_dir_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(
        tf_data.DatasetNotFoundError, match=r"there is nothing\. Make it with `python -m beam_pipeline run`"
    ):
        tf_data.load("k400", split="train", data_dir=tmp_path)


def test_an_unknown_split_is_named_beside_those_that_are_there(data_dir: Path) -> None:
    with pytest.raises(
        tf_data.DatasetNotFoundError, match=r"no split 'vall' .*\(did you mean 'val'\?\); there are train, val"
    ):
        tf_data.load("fake", split="vall", data_dir=data_dir)


def test_a_split_without_index_says_that_the_job_has_not_ended(tmp_path: Path) -> None:
    folder = tmp_path / "fake" / "1.0.0"
    write_split(folder, make_clips(2, num_frames=4))
    (folder / "index-train.npz").unlink()
    with pytest.raises(ValueError, match=r"'train' has no index-train\.npz: the job .* Run it again"):
        tf_data.load("fake", split="train", data_dir=tmp_path)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "fake" / "1.0.0"
    write_split(folder, make_clips(2, num_frames=4))
    (folder / "index-train.npz").write_bytes(b"not an index")
    with pytest.raises(ValueError, match=r"index-train\.npz: not a record index"):
        tf_data.load("fake", split="train", data_dir=tmp_path, crop_size=16)


def test_damaged_metadata_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "fake" / "1.0.0"
    write_split(folder, make_clips(2, num_frames=4))
    (folder / "info-train.json").write_text("{")
    with pytest.raises(ValueError, match=r"info-train\.json: can't be read as JSON"):
        tf_data.load("fake", split="train", data_dir=tmp_path)
