from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.config import ConfigError, config_to_yaml, load_config, schema_keys

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("configs/**/*.yaml"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("model:\n  depth: 14\n  width: 16\ntrain:\n  lr: 1e-3\n")
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_every_config_loads_and_survives_a_round_trip(path: Path, tmp_path: Path) -> None:
    """That every one builds is in tests/models/test_cost.py."""
    config = load_config(path)
    copy = tmp_path / "config.yaml"
    copy.write_text(config_to_yaml(config))
    assert load_config(copy) == config


def test_overrides_come_last_and_in_order(small: Path) -> None:
    config = load_config(small, ["train.lr=0.2", "data.train.annotations=x.csv", "train.lr=0.3"])
    assert config.train.lr == 0.3
    assert config.data.train.annotations == "x.csv"
    assert config.model.width == 16


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.learning=1", "unknown key train.learning"),
        ("model.dept=50", "did you mean model.depth"),
        ("train.lr", "expected key=value"),
        ("=3", "expected key=value"),
        ("train.lr=abc", "train.lr: expected a number, received 'abc'"),
        ("train=3", "train is a section"),
        ("train.lr.x=3", "unknown key train.lr.x"),
        ("model.backbone=slowfst", "did you mean slowfast"),
        ("model.depth=18", "model.depth: expected one of"),
        ("model.lateral_kernel=-1", "odd number of at least 1"),
        ("model.res4_temporal_blocks=100", r"model\.res4_temporal_blocks"),
        ("model.non_local_res4=[99]", r"model\.non_local_res4"),
        ("data.std=[0,0,0]", r"data\.std"),
        ("data.start_second=nan", r"data\.start_second"),
        ("train.clip_grad_norm=-5", r"train\.clip_grad_norm"),
        ("seed=-1", "seed: expected"),
        ("model.lateral=ttoc_sum", None),
        ("device=gpu", "device: expected auto, cpu"),
        ("data.frame_grid=pyslowfst", "did you mean pyslowfast"),
        ("data.ava_version=2.3", "data.ava_version: expected one of 2.1, 2.2"),
        ("data.crop_size=500", "data.crop_size"),
        ("model.slow_stride=15", "multiple of model.alpha"),
    ],
)
def test_a_wrong_override_is_one_sentence(small: Path, override: str, expected: str | None) -> None:
    if expected is None:  # alpha = beta_inv = 8 by default, so this one fits
        load_config(small, [override])
        return
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(small, [override])
    assert str(caught.value).startswith(f"override {override!r}: ")
    assert "\n" not in str(caught.value)


def test_a_wrong_value_of_the_file_is_blamed_on_the_file(small: Path) -> None:
    small.write_text("train:\n  clip_grad_norm: -5\n")
    with pytest.raises(ConfigError) as caught:
        load_config(small, ["train.lr=0.1"])
    assert str(caught.value).startswith(f"{small}: train.clip_grad_norm")


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/ava/**/*.yaml")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_one_override_selects_the_annotations_of_a_version(
    path: Path, version: str, tmp_path: Path
) -> None:
    config = load_config(path, [f"data.ava_version={version}"])
    assert config.data.ava_version == version
    folder = "data/ava/annotations"
    for name in ("train", "val"):
        split = getattr(config.data, name)
        assert split.annotations == f"{folder}/ava_{name}_v{version}.csv"
        assert split.excluded == f"{folder}/ava_{name}_excluded_timestamps_v{version}.csv"
    assert config.data.test.annotations is None
    assert config.data.test.excluded == f"{folder}/ava_test_excluded_timestamps_v{version}.csv"
    copy = tmp_path / "config.yaml"
    copy.write_text(config_to_yaml(config))
    assert load_config(copy) == config


def test_an_extracted_grid_has_30_pictures_a_second(small: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.clip_fps: expected 30"):
        load_config(small, ["data.frame_grid=mmaction2", "data.clip_fps=25"])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["train.layer_decay=0.75"], r"train\.layer_decay: expected 1 for slowfast, .* vit, mvit"),
        (["model.backbone=vit", "train.layer_decay=0"], r"train\.layer_decay: expected a share"),
        (["train.ema_decay=1"], r"train\.ema_decay: expected null or a share"),
        (["data.box_jitter_sides=[0.1,0.2]"], r"data\.box_jitter_sides: expected four fractions"),
        (["data.box_jitter_sides=[0.1,0.6,0,0]"], r"data\.box_jitter_sides: .* below 0\.5"),
        (
            ["data.box_jitter=0.1", "data.box_jitter_sides=[0.1,0.1,0.1,0.1]"],
            r"data\.box_jitter: expected 0 beside data\.box_jitter_sides",
        ),
        (["data.hsv_jitter=[20,0.1]"], r"data\.hsv_jitter: expected degrees 0\.\.180"),
        (["data.hsv_jitter=[20,0.1,2]"], r"data\.hsv_jitter: expected degrees 0\.\.180"),
    ],
)
def test_wrong_values_of_the_transformers_recipe_are_refused(
    small: Path, overrides: list[str], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(small, overrides)


def test_ttoc_sum_needs_alpha_equal_to_beta_inv(small: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.lateral"):
        load_config(small, ["model.lateral=ttoc_sum", "model.alpha=4"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\nb", r"line \d"),
        ("- 1\n- 2", "expected a mapping"),
        ("model:\n\tdepth: 3", "line 2"),
        ("model: {deph: 3}", "did you mean model.depth"),
        ("model: 3", "model is a section"),
        ("train: {lr: fast}", "train.lr"),
    ],
)
def test_a_wrong_file_names_itself(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(path)
    assert "wrong.yaml" in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config"):
        load_config("configs/nowhere.yaml")


def test_shipped_configs_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/synthetic/slowfast.yaml").model.backbone == "slowfast"


def test_every_key_is_read_somewhere() -> None:
    sources = [*ROOT.glob("ava_det/**/*.py"), *ROOT.glob("tools/*.py")]
    code = "\n".join(path.read_text() for path in sources if path.parent.name != "config")
    yaml = "\n".join(path.read_text() for path in CONFIGS)
    read_by_yaml = {key for key in schema_keys() if f"${{{key}}}" in yaml}
    unread = [
        key
        for key in schema_keys()
        if f".{key.rsplit('.', 1)[-1]}" not in code and key not in read_by_yaml
    ]
    assert not unread
