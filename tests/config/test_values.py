"""Lists in configs and overrides, as people write them, and sentences for values that do not
fit.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.config import ConfigError, config_to_yaml, load_config

NUMBERS = "train.action_ids: expected null or a list of whole numbers such as [12,14], received "


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.yaml"
    path.write_text("model:\n  depth: 14\n")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "[12,14]",
        "12,14",
        "12, 14",
        "12 14",
        "12;14",
        "(12,14)",
        "{12,14}",
        "[12 14]",
        "'[12, 14]'",
        "12,14,",
        "14,12",
    ],
)
def test_a_list_of_numbers_is_read_however_it_is_written(empty: Path, text: str) -> None:
    assert load_config(empty, [f"train.action_ids={text}"]).train.action_ids == [12, 14]


def test_one_number_is_a_list_of_one(empty: Path) -> None:
    config = load_config(empty, ["train.action_ids=12", "train.steps=3.5", "eval.short_sides=224"])
    assert (config.train.action_ids, config.train.steps, config.eval.short_sides) == (
        [12],
        [3.5],
        [224],
    )


def test_the_file_may_write_lists_likewise(tmp_path: Path) -> None:
    path = tmp_path / "lists.yaml"
    path.write_text("train: {steps: '10, 15', action_ids: 7}\ndata: {mean: 0.1 0.2 0.3}\n")
    config = load_config(path)
    assert (config.train.steps, config.train.action_ids, config.data.mean) == (
        [10, 15],
        [7],
        [0.1, 0.2, 0.3],
    )


@pytest.mark.parametrize(
    "text",
    ["stand,walk", "[12,a]", "[12,14", "1-3", "12.5", "true", "None", "[1,[2]]", "12,,${nothing}"],
)
def test_anything_else_names_the_key_and_the_form(empty: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(empty, [f"train.action_ids={text}"])
    assert str(caught.value).startswith(f"override {f'train.action_ids={text}'!r}: {NUMBERS}")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.lr=fast", "train.lr: expected a number, received 'fast'"),
        ("train.lr=", "train.lr: expected a number, received nothing"),
        ("train.lr=0,1", "train.lr: expected a number, received '0,1'"),
        ("train.lr=[0.1]", "train.lr: expected a number, received [0.1]"),
        (
            "train.lr=${nothing}",
            "train.lr: expected a number, received '${nothing}', which refers to nothing",
        ),
        ("train.epochs=10.5", "train.epochs: expected a whole number, received 10.5"),
        ("data.flip=maybe", "data.flip: expected true or false, received 'maybe'"),
        ("data.crop_size=big", "data.crop_size: expected null or a whole number, received 'big'"),
        (
            "data.video_dir=[a,b]",
            "data.video_dir: expected null or a single text, received ['a', 'b']",
        ),
        (
            "data.train.boxes=[[a]]",
            "data.train.boxes: expected gt, a detector, a box file or a list",
        ),
        ("train.steps[0]=3", "unknown key train.steps.0; did you mean train.steps?"),
        ("TRAIN.LR=0.1", "unknown key TRAIN.LR; did you mean train.lr?"),
        ("eval.qqqqqqqqqq=1", "unknown key eval.qqqqqqqqqq; expected one of eval.batch_size, "),
        (
            "data.train.annotations=[]",
            "data.train.annotations: expected a file, or a list of files such as",
        ),
        (
            "data.train.annotations=[[a]]",
            "data.train.annotations: expected a file, or a list of files such as",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_plain_words(
    empty: Path, override: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(empty, [override])
    assert str(caught.value).startswith(f"override {override!r}: {expected}")
    for word in ("ListConfig", "Config'", "AnyNode", "Integer", "Float", "\n"):
        assert word not in str(caught.value)


@pytest.mark.parametrize("text", ["[a.csv,b c.csv]", "a.csv,b c.csv", "[ a.csv , b c.csv ]"])
def test_annotations_may_be_several_files(empty: Path, tmp_path: Path, text: str) -> None:
    config = load_config(empty, [f"data.train.annotations={text}"])
    assert config.data.train.annotations == ["a.csv", "b c.csv"]
    assert config.data.train.annotation_files == ["a.csv", "b c.csv"]
    copy = tmp_path / "copy.yaml"
    copy.write_text(config_to_yaml(config))
    assert load_config(copy) == config


def test_one_file_stays_a_text(empty: Path) -> None:
    split = load_config(empty, ["data.val.annotations=[a.csv]", "data.val.excluded=7"]).data.val
    assert (split.annotations, split.excluded) == ("a.csv", "7")
    assert load_config(empty).data.test.annotation_files == []


def test_boxes_may_be_several_files(empty: Path) -> None:
    split = load_config(empty, ["data.val.boxes=a.csv,b.csv"]).data.val
    assert split.box_sources == ["a.csv", "b.csv"]
    assert load_config(empty, ["data.val.boxes=motion"]).data.val.box_sources == ["motion"]
    assert load_config(empty).data.val.box_sources == ["gt"]
