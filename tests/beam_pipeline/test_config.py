"""A configuration is right, or every wrong key of it is named with its value and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipeline.config import ConfigError, load_config
from beam_pipeline.media.settings import TVL1_PRESETS, Audio, Encode, Flow

ROOT = Path(__file__).parents[2]
LEAST = ["name=mine", "splits.train.annotations=train.csv", "source.store=/clips"]


def errors(*settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [*LEAST, *settings])
    return str(caught.value).splitlines()


def test_every_key_but_three_has_a_default() -> None:
    config = load_config(None, LEAST)
    assert config.encode.fps == 25
    assert (config.encode.shorter_side, config.encode.resize, config.encode.jpeg_quality) == (256, "area", 95)
    assert (config.flow, config.audio, config.source.trimmed) == (None, None, True)
    assert config.splits["train"].annotations == ("train.csv",)
    assert config.version_dir.endswith("kinetics_tfrecords/mine/1.0.0")
    assert "~" not in config.version_dir


def test_settings_win_over_the_file_and_make_what_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "{name: a, flow: null, encode: {fps: 10}, source: {store: s}, splits: {train: {annotations: [x]}}}"
    )
    config = load_config(tmp_path / "a.yaml", ["encode.fps=12.5", "flow.method=dis", "audio={}"], data_dir="/out")
    assert config.encode.fps == Fraction(25, 2)
    assert (config.flow, config.audio) == (Flow(method="dis"), Audio())
    assert config.version_dir == "/out/a/1.0.0"


def test_all_errors_at_once_each_with_key_value_and_range() -> None:
    found = errors(
        "encode.jpeg_quality=950",
        "encode.fps=never",
        "flow.method=tv1",
        "flow.bond_px=3",
        "source.trimmed=maybe",
        "splits.train.shards=0",
        "limits.wall_s=-1",
        "workers=some",
        "presett=i3d",
        "version=null",
    )
    assert found == [
        "--set: splits.train.shards must be a whole number from 1 to 100000, got 0",
        "--set: source.trimmed must be true or false or whole, got 'maybe'",
        "--set: version must be a text, got null",
        "--set: encode.fps must be a number or a fraction such as 30000/1001 above 0 to 240, got 'never'",
        "--set: encode.jpeg_quality must be a whole number from 1 to 100, got 950",
        "--set: flow.method must be tvl1 or tvl1_fast or dis or farneback or imported, got 'tv1'",
        "--set: flow.bond_px is no key of the configuration; did you mean bound_px?",
        "--set: limits.wall_s must be a number above 0 to 10000000 or auto, got -1",
        "--set: workers must be a whole number from 1 to 1024 or auto, got 'some'",
        "--set: presett is no key of the configuration; did you mean preset?",
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("name=../up", "name becomes a folder's name"),
        ("version=.", "version becomes a folder's name"),
        ("config=-rf", "config becomes a folder's name"),
        ("splits={tr/ain: {annotations: [a]}}", "a split's name has letters, digits and _ only"),
        ("relabel=true", "give classes"),
        ("version=1.10", "put it in quotes"),
        ("encode.min_duration_s=61", "must not be above encode.max_duration_s"),
    ],
)
def test_names_that_become_paths_and_values_that_contradict(setting: str, message: str) -> None:
    assert message in "\n".join(errors(setting))


@pytest.mark.parametrize(
    ("setting", "misspelt"),
    [
        ("source=null", []),
        ("source.stor=/x", ["--set: source.stor is no key of the configuration; did you mean store?"]),
    ],
)
def test_a_store_that_is_missing_is_told_by_its_own_name(setting: str, misspelt: list[str]) -> None:
    missing = "--set: source.store is missing; it is the folder of your clips, or of those that are fetched"
    with pytest.raises(ConfigError) as error:
        load_config(None, ["name=a", "splits.train.annotations=a.csv", setting])
    assert sorted(str(error.value).splitlines()) == sorted([missing, *misspelt])


def test_of_a_source_every_wrong_key_is_named() -> None:
    found = errors(
        "source.kind=tube",
        "source.archives.train=[3]",
        "source.replacements=7",
        "source.requests_per_minute=0",
        "source.tries=0",
        "source.min_free_gib=-1",
        "source.youtube.proxy=http://a",
        "source.youtube.sleep_s=-1",
        "source.youtube.rate_kib_s=fast",
        "source.youtube.options={1: a}",
    )
    assert found == [
        "--set: source.kind must be local or youtube or archive or frames, got 'tube'",
        "--set: source.archives.train.0 must be a text, got 3",
        "--set: source.replacements must be a list, got 7",
        "--set: source.requests_per_minute must be a number above 0 to 6000, got 0",
        "--set: source.tries must be a whole number from 1 to 100, got 0",
        "--set: source.min_free_gib must be a number from 0, got -1",
        "--set: source.youtube.sleep_s must be a number from 0 to 3600, got -1",
        "--set: source.youtube.rate_kib_s must be a number above 0 or null, got 'fast'",
        "--set: source.youtube.options must have texts for keys, got 1: put it in quotes",
        "--set: source.youtube.proxy is no key of the configuration; did you mean proxies?",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["source.archives.val=a"], "--set: source.archives.val: splits has no val, it has train"),
        (
            ["source.kind=archive"],
            "--set: source.archives.train must name the archives of splits.train or a .txt list of them, got none",
        ),
        (
            ["source.kind=archive", "source.archives.train=[]"],
            "--set: source.archives.train must name the archives of splits.train or a .txt list of them, got none",
        ),
        (
            ["source.kind=archive", "source.archives.train=a", "source.trimmed=false"],
            "--set: source.kind archive: archives hold clips, so source.trimmed must be true or whole, got false",
        ),
        (
            ["source.kind=youtube", "source.trimmed=false"],
            "--set: source.kind youtube: what is fetched is just the clip, so source.trimmed must be true, got false",
        ),
        (
            ["source.kind=youtube", "source.trimmed=whole"],
            "--set: source.kind youtube: what is fetched is just the clip, so source.trimmed must be true, got whole",
        ),
        (
            ["source.store=https://a/clips"],
            "--set: source.store must be a folder or a URL of Beam's such as gs://…, got 'https://a/clips'",
        ),
        (
            ["labels=https://a/labels.txt"],
            "--set: labels must be a file on this machine or a file system of Beam's: download it first, "
            "got 'https://a/labels.txt'",
        ),
        (
            ["classes=http://a/classes.txt"],
            "--set: classes must be a file on this machine or a file system of Beam's: download it first, "
            "got 'http://a/classes.txt'",
        ),
    ],
)
def test_a_source_that_contradicts_itself_or_the_rest(settings: list[str], message: str) -> None:
    assert errors(*settings) == [message]


@pytest.mark.parametrize(
    "url", ["https://a/watch", "https://a/{id}/{id}", "https://a/{id}/{0}", "https://a/{id}}", "file:///{id}", "{id}"]
)
def test_a_template_of_urls_is_one(url: str) -> None:
    assert errors(f"source.youtube.url='{url}'") == [
        f"--set: source.youtube.url must be an http or https URL that has {{id}} in it once, and no other braces, "
        f"got {url!r}"
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("source.youtube.options.exec=rm", "source.youtube: options.exec is not one of those that are taken"),
        ("source.youtube.format='best['", "source.youtube: yt-dlp does not take format 'best['"),
        ("source.youtube.cookies_file=/gone.txt", "source.youtube: cookies_file /gone.txt can't be read"),
    ],
)
def test_what_yt_dlp_would_not_take_is_an_error_where_it_would_be_asked(setting: str, message: str) -> None:
    assert message in errors("source.kind=youtube", setting)[0]
    load_config(None, [*LEAST, setting])


def test_a_source_s_spellings_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = [
        "splits.validate.annotations=https://a/val.csv",
        "source.archives={train: ~/t.tar, validation: [a.tgz, ~/b.txt]}",
        "source.replacements=~/corrected.tgz",
        "source.youtube={cookies_file: ~/cookies.txt, proxies: 'http://p', player_clients: tv}",
    ]
    config = load_config(None, [*LEAST, *settings])
    source = config.source
    assert config.splits["val"].annotations == ("https://a/val.csv",)
    assert source.archives == {"train": ("/home/me/t.tar",), "val": ("a.tgz", "/home/me/b.txt")}
    assert source.replacements == ("/home/me/corrected.tgz",)
    assert source.youtube.cookies_file == "/home/me/cookies.txt"
    assert (source.youtube.proxies, source.youtube.player_clients) == (("http://p",), ("tv",))


def test_what_is_null_in_a_source_is_left_out() -> None:
    settings = ["source.archives=null", "source.replacements=null", "source.youtube=null"]
    assert load_config(None, [*LEAST, *settings]) == load_config(None, LEAST)


@pytest.mark.parametrize("setting", ["no equals sign", "=1", "a..b=1", "name.deeper=1", "encode.fps=[1"])
def test_a_setting_that_is_none_is_named(setting: str) -> None:
    assert setting in errors(setting)[0]


def test_two_names_of_one_split_are_an_error() -> None:
    assert "another name for splits.val" in errors("splits.val.annotations=a", "splits.validate.annotations=b")[0]
    assert "another name for source.archives.val" in errors("source.archives={val: a, validate: b}")[0]


@pytest.mark.parametrize("content", ["- a list", "{unclosed", "\x00"])
def test_a_file_that_is_no_configuration(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_config(tmp_path / "bad.yaml")


OVERLAYS = [ROOT / "configs/dataflow.yaml"]
DATA_SETS = sorted(set((ROOT / "configs").glob("*.yaml")) - set(OVERLAYS))


@pytest.mark.parametrize("path", DATA_SETS, ids=lambda path: path.stem)
def test_shipped_configurations_are_right(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert config.splits.keys() <= {"train", "val", "test"}


def test_dataflows_overlay_adds_options_of_beams_that_the_command_line_knows() -> None:
    config = load_config([ROOT / "configs/k400.yaml", *OVERLAYS])
    assert config == replace(load_config(ROOT / "configs/k400.yaml"), beam=config.beam)
    options = PipelineOptions(config.beam_arguments).get_all_options()
    assert {key: options.get(key) for key in config.beam} == config.beam


def test_a_later_file_adds_to_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "{name: a, encode: {fps: 10, shorter_side: 128}, source: {store: s}, splits: {train: {annotations: [x, y]}}}"
    )
    (tmp_path / "b.yaml").write_text("{flow: {method: dis}, encode: {fps: 5}, splits: {train: {annotations: [z]}}}")
    config = load_config([tmp_path / "a.yaml", tmp_path / "b.yaml"], ["encode.jpeg_quality=90"])
    assert config.encode == Encode(fps=Fraction(5), shorter_side=128, jpeg_quality=90)
    assert (config.flow, config.splits["train"].annotations) == (Flow(method="dis"), ("z",))


def test_an_error_in_several_files_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("{encode: {fsp: 5}}")
    with pytest.raises(ConfigError, match=r"k400\.yaml with .*b\.yaml: encode\.fsp is no key.*did you mean fps\?"):
        load_config([ROOT / "configs/k400.yaml", tmp_path / "b.yaml"])


def test_options_of_beams_become_arguments() -> None:
    beam = "beam={runner: FlinkRunner, num_workers: 4, no_use_public_ips: true, region: null, labels: [a=1, b=2]}"
    assert load_config(None, [*LEAST, beam]).beam_arguments == [
        "--runner=FlinkRunner",
        "--num_workers=4",
        "--no_use_public_ips",
        "--labels=a=1",
        "--labels=b=2",
    ]
    assert load_config(None, [*LEAST, "beam=null"]).beam_arguments == []


@pytest.mark.parametrize("value", ["false", "[1, true]", "[{a: 1}]"])
def test_an_option_of_beams_that_no_argument_says_is_refused(value: str) -> None:
    assert "beam.use_public_ips must be a number, a text" in errors(f"beam.use_public_ips={value}")[0]


@pytest.mark.parametrize("name", ["k400", "k600", "k700_2020"])
def test_shipped_configurations_need_nothing_else_to_fetch(name: str) -> None:
    for kind in ("archive", "youtube"):
        config = load_config(ROOT / f"configs/{name}.yaml", [f"source.kind={kind}"])
        assert config.source.archives.keys() == config.splits.keys()
        for split, lists in config.source.archives.items():
            folder = name.removeprefix("k")
            assert lists == (f"https://s3.amazonaws.com/kinetics/{folder}/{split}/{name}_{split}_path.txt",)
            for path in config.splits[split].annotations:
                assert path.startswith(f"https://s3.amazonaws.com/kinetics/{folder}/annotations/{split}.")


FRAMES = ["source.kind=frames", "encode.fps=30"]


def test_folders_of_frames_are_taken_whole_and_keep_their_size() -> None:
    config = load_config(None, [*LEAST, *FRAMES, "flow={method: imported, bound_px: 15}", "preset=mediapipe"])
    assert config.source.trimmed == "whole"
    assert (config.encode.fps, config.encode.shorter_side, config.encode.height) == (30, None, None)
    assert config.media.frame_folders
    assert config.flow
    assert (config.flow.method, config.flow.bound_px) == ("imported", 15)


def test_what_folders_of_frames_can_have_none_of_is_told() -> None:
    assert errors("source.kind=frames", "encode.shorter_side=224", "encode.resize=area") == [
        "encode.shorter_side must be left out with source.kind frames, which takes frames as they are, got 224",
        "encode.resize must be left out with source.kind frames, which takes frames as they are, got 'area'",
        "encode.fps is missing; with source.kind frames it is the rate at which they were extracted",
    ]
    assert errors(*FRAMES, "audio={}", "source.store=gs://frames") == [
        "--set: source.store: folders of frames are read from disks of this machine, which a store elsewhere can be "
        "mounted as, got 'gs://frames'",
        "--set: audio must be left out with source.kind frames: folders of frames have no sound",
    ]


def test_flow_is_imported_from_folders_of_frames_only() -> None:
    assert errors("flow.method=imported") == [
        "--set: flow.method imported is for source.kind frames, got source.kind local"
    ]


def test_flow_holds_all_parameters_of_its_method() -> None:
    assert load_config(None, [*LEAST, "flow={}"]).flow == Flow("tvl1", tvl1=TVL1_PRESETS["tvl1"])
    assert load_config(None, [*LEAST, "flow.method=tvl1_fast"]).flow == Flow(
        tvl1=TVL1_PRESETS["tvl1_fast"], method="tvl1_fast"
    )
    assert load_config(None, [*LEAST, "flow.method=dis"]).flow.tvl1 is None


@pytest.mark.parametrize("method", ["tvl1", "tvl1_fast"])
def test_a_parameter_of_tvl1_replaces_that_one_of_the_methods_row(method: str) -> None:
    flow = load_config(None, [*LEAST, f"flow.method={method}", "flow.tvl1.num_warps=3", "flow.tvl1={tau: 0.2}"]).flow
    assert flow.tvl1 == replace(TVL1_PRESETS[method], tau=0.2)
    flow = load_config(None, [*LEAST, f"flow.method={method}", "flow.tvl1.num_warps=3", "flow.tvl1.tau=0.2"]).flow
    assert flow.tvl1 == replace(TVL1_PRESETS[method], tau=0.2, num_warps=3)


def test_wrong_parameters_of_tvl1_are_named() -> None:
    found = errors(
        *("flow.tvl1.tau=0.3", "flow.tvl1.level_scale=1", "flow.tvl1.num_levels=11", "flow.tvl1.num_warps=1.5"),
        *("flow.tvl1.epsilon_px=-1", "flow.tvl1.outer_iterations=0", "flow.tvl1.inner_iterations=101"),
        *("flow.tvl1.median_px=4", "flow.tvl1.theta=.nan", "flow.tvl1.data_weight=.inf", "flow.tvl1.lambda=0.1"),
        *("flow.storage=webp", "flow.rounding=up"),
    )
    assert found == [
        "--set: flow.storage must be jpeg444 or png, got 'webp'",
        "--set: flow.rounding must be nearest or truncate, got 'up'",
        "--set: flow.tvl1.tau must be a number from 0.001 to 0.25, got 0.3",
        "--set: flow.tvl1.data_weight must be a number from 0.001 to 10, got inf",
        "--set: flow.tvl1.theta must be a number from 0.001 to 10, got nan",
        "--set: flow.tvl1.num_levels must be a whole number from 1 to 10, got 11",
        "--set: flow.tvl1.level_scale must be a number from 0.1 to 0.95, got 1",
        "--set: flow.tvl1.num_warps must be a whole number from 1 to 10, got 1.5",
        "--set: flow.tvl1.epsilon_px must be a number from 0 to 1, got -1",
        "--set: flow.tvl1.outer_iterations must be a whole number from 1 to 20, got 0",
        "--set: flow.tvl1.inner_iterations must be a whole number from 1 to 100, got 101",
        "--set: flow.tvl1.median_px must be 1 or 3 or 5, got 4",
        "--set: flow.tvl1.lambda is no key of the configuration; known are tau, data_weight, theta, num_levels, "
        "level_scale, num_warps, epsilon_px, outer_iterations, inner_iterations, median_px",
    ]


def test_parameters_of_tvl1_are_refused_for_another_method() -> None:
    assert errors("flow.method=dis", "flow.tvl1.tau=0.2") == [
        "flow.tvl1 is for flow.method tvl1 or tvl1_fast, got flow.method dis: leave one out"
    ]


def test_the_preset_of_mediapipe_is_its_graphs_values() -> None:
    config = load_config(None, [*LEAST, "preset=mediapipe", "flow={}"])
    assert config.encode == Encode(shorter_side=None, height=256, jpeg_quality=100)
    assert config.flow == Flow("tvl1", 20.0, "jpeg444", quality=100, rounding="truncate")


def test_a_preset_makes_no_flow_by_itself() -> None:
    assert load_config(None, [*LEAST, "preset=mediapipe"]).flow is None


def test_keys_that_are_given_win_over_the_preset() -> None:
    given = ["encode.shorter_side=128", "flow.rounding=nearest", "flow.method=dis"]
    config = load_config(None, [*LEAST, "preset=mediapipe", *given])
    assert config.encode == Encode(shorter_side=128, height=None, jpeg_quality=100)
    assert config.flow == Flow("dis", quality=100)


def test_frames_get_their_size_by_one_side() -> None:
    assert load_config(None, [*LEAST, "encode.height=120"]).encode == Encode(shorter_side=None, height=120)
    assert load_config(None, [*LEAST, "encode.shorter_side=null"]).encode == Encode()
    assert errors("encode.height=120", "encode.shorter_side=120") == [
        "encode.shorter_side and encode.height both give the size of frames: leave one out"
    ]
    assert errors("encode.height=0") == ["--set: encode.height must be a whole number from 16 to 2160 or null, got 0"]
