from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_det.config import Config, ConfigError, DataConfig, ModelConfig, load_config
from ava_det.data.build import build_clip_reader, build_dataset_reader, load_label_map_for
from ava_det.detectors.registry import build_detector
from ava_det.device.precision import find_cudnn_fault
from ava_det.device.select import prepare_torch
from ava_det.evaluation.metrics import ClassResult
from ava_det.flow import StoredFlow
from ava_det.tasks.action_detection import compute_metrics
from ava_det.tasks.run_folder import describe_environment
from ava_det.tasks.splits import build_split

CPU = torch.device("cpu")


def test_a_driver_that_is_too_old_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_available() -> bool:
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version "
            "11040).",
            stacklevel=1,
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    assert prepare_torch(Config(device="auto")) == CPU
    stdout = capsys.readouterr().out
    assert stdout.count("\n") == 1
    assert "driver is too old" in stdout
    with pytest.raises(
        ConfigError, match="device: cuda cannot be used: the NVIDIA driver is too old"
    ):
        prepare_torch(Config(device="cuda"))


def test_a_machine_without_cuda_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepare_torch(Config(device="auto")) == CPU
    with pytest.raises(ConfigError, match="no CUDA device was found"):
        prepare_torch(Config(device="cuda"))


@pytest.mark.parametrize(
    ("model", "num_frames", "stride", "slow", "fast"),
    [
        (ModelConfig(), 32, 2, [0, 8, 16, 24], 32),
        (ModelConfig(backbone="slow_only"), 4, 16, [0, 1, 2, 3], None),
        (ModelConfig(backbone="i3d", num_slow_frames=8, slow_stride=8), 8, 8, list(range(8)), None),
        (ModelConfig(backbone="fast_only"), 32, 2, None, 32),
    ],
)
def test_each_network_reads_its_own_frames(
    model: ModelConfig, num_frames: int, stride: int, slow: list[int] | None, fast: int | None
) -> None:
    reader = build_clip_reader(Config(model=model))
    assert (reader.num_frames, reader.stride) == (num_frames, stride)
    assert (None if reader.slow_indices is None else reader.slow_indices.tolist()) == slow
    assert (None if reader.fast_indices is None else len(reader.fast_indices)) == fast


def test_pyslowfast_s_slow_frames_are_a_choice() -> None:
    model = ModelConfig(num_slow_frames=8, slow_stride=8, alpha=4)
    reader = build_clip_reader(Config(model=model, data=DataConfig(slow_frame_policy="linspace")))
    assert reader.slow_indices is not None
    np.testing.assert_array_equal(reader.slow_indices, [0, 4, 8, 13, 17, 22, 26, 31])


def test_an_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigError,
        match="one of auto, detectron2, faster_rcnn, motion, torchvision, received 'detectron9'",
    ):
        build_detector("detectron9", CPU)


def test_the_label_map_must_fit_the_model(synthetic: Path) -> None:
    config = load_config(
        "configs/synthetic/slowfast.yaml", [f"data.label_map={synthetic}/labelmap.pbtxt"]
    )
    assert load_label_map_for(config)[14] == "walk"
    config.model.num_classes = 10
    with pytest.raises(ConfigError, match=r"model\.num_classes: expected at least 69"):
        load_label_map_for(config)
    config.data.label_map = None
    with pytest.raises(ConfigError, match=r"data\.label_map"):
        load_label_map_for(config)


def write(path: Path, *rows: str) -> str:
    path.write_text("".join(row + "\n" for row in rows))
    return str(path)


def test_excluded_keyframes_are_not_trained_on_but_left_to_the_protocol(tmp_path: Path) -> None:
    rows = write(tmp_path / "gt.csv", "v,0902,0.1,0.1,0.5,0.5,12,0", "v,0903,0.1,0.1,0.5,0.5,14,0")
    excluded = write(tmp_path / "excluded.csv", "v,0903")
    files = [
        f"data.{s}.{k}={v}"
        for s in ("train", "val")
        for k, v in (("annotations", rows), ("excluded", excluded))
    ]
    config = load_config(
        "configs/synthetic/slowfast.yaml", [*files, "data.train.boxes=gt", "data.val.boxes=gt"]
    )
    assert [keyframe.timestamp for keyframe in build_split(config, "train", CPU).keyframes] == [902]
    split = build_split(config, "val", CPU)
    assert [keyframe.timestamp for keyframe in split.keyframes] == [902, 903]
    found = compute_metrics([], split, {12: "stand", 14: "walk", 17: "carry"}, "activitynet-2019")
    assert found.result.per_class[14].num_gt == 0
    assert found.result.per_class[17] == ClassResult("carry", None, 0, 0)
    json.dumps(found.to_json(), allow_nan=False)


def test_several_annotation_files_make_one_split(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.csv", "v,0902,0.1,0.1,0.5,0.5,12,0", "v,0903,0.1,0.1,0.5,0.5,14,0"),
        write(tmp_path / "b.csv", "w,0902,0.1,0.1,0.5,0.5,17,0", "v,0903,0.1,0.1,0.5,0.5,17,0"),
    ]
    excluded = [write(tmp_path / "a_ex.csv", "v,0902"), write(tmp_path / "b_ex.csv", "w,0902")]
    overrides = [
        f"data.train.annotations=[{','.join(files)}]",
        "data.train.boxes=gt",
        "data.train.excluded=null",
    ]
    found = build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "train", CPU)
    assert [(keyframe.video_id, keyframe.timestamp) for keyframe in found.keyframes] == [
        ("v", 902),
        ("v", 903),
        ("w", 902),
    ]
    labels = found.keyframes[1].labels
    assert labels is not None
    assert labels.nonzero().tolist() == [[0, 13], [0, 16]]  # actions 14 and 17, one from each file
    overrides.append(f"data.train.excluded={','.join(excluded)}")
    left = build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "train", CPU)
    assert [(keyframe.video_id, keyframe.timestamp) for keyframe in left.keyframes] == [("v", 903)]


def test_a_wrong_row_of_several_files_is_named_by_its_own(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "v,0902,0.1,0.1,0.5,0.5,12,0")
    second = write(tmp_path / "b.csv", "w,0902,0.1,0.1,0.5,0.5,12,0", "w,0903,10,10,50,50,12,0")
    overrides = [f"data.train.annotations=[{first},{second}]", "data.train.excluded=null"]
    config = load_config("configs/synthetic/slowfast.yaml", overrides)
    with pytest.raises(ValueError, match=r"b\.csv, line 2: expected a box"):
        build_split(config, "train", CPU)


def test_without_annotations_the_box_file_says_which_keyframes(tmp_path: Path) -> None:
    boxes = write(
        tmp_path / "boxes.csv", "v,0902,0.1,0.1,0.5,0.5,,0.9", "v,0903,0.1,0.1,0.5,0.5,,0.1"
    )
    config = load_config("configs/synthetic/slowfast.yaml", ["data.min_person_score=0.5"])
    split = build_split(config, "test", CPU, boxes=boxes)
    assert [(keyframe.timestamp, len(keyframe.boxes)) for keyframe in split.keyframes] == [(902, 1)]
    assert not split.is_labeled
    metrics = compute_metrics([], split, {12: "stand"}, "activitynet-2020")
    assert metrics.score is None
    assert metrics.to_json()["per_class"] == {"12": {"name": "stand", "AP": None, "num_gt": 0}}
    with pytest.raises(ConfigError, match=r"data\.test\.annotations"):
        build_split(config, "test", CPU, boxes="motion")


def test_several_box_files_make_one_split(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "rows.csv", "v,0902,0.1,0.1,0.5,0.5,12,0", "w,0902,0.1,0.1,0.5,0.5,12,0"
    )
    first = write(tmp_path / "a.csv", "v,0902,0.1,0.1,0.5,0.5,,0.9")
    second = write(tmp_path / "b.csv", "w,0902,0.1,0.1,0.5,0.6,,0.8")
    shared = ["data.val.excluded=null", "data.min_person_score=0.5"]
    overrides = [f"data.val.annotations={rows}", f"data.val.boxes=[{first},{second}]", *shared]
    split = build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "val", CPU)
    assert (split.recall, split.precision) == (1.0, 1.0)
    assert [float(keyframe.person_scores[0]) for keyframe in split.keyframes] == pytest.approx(
        [0.9, 0.8]
    )
    assert split.boxes == f"{first} and {second}"
    overrides[0] = "data.val.annotations=null"  # then the files say which keyframes there are
    split = build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "val", CPU)
    assert [keyframe.video_id for keyframe in split.keyframes] == ["v", "w"]
    write(tmp_path / "b.csv", "v,0902,0.1,0.1,0.5,0.6,,0.8")
    with pytest.raises(ValueError, match=r"b\.csv: has boxes of the keyframe v,0902, .*a\.csv"):
        build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "val", CPU)
    overrides[1] = f"data.val.boxes=[{first},motion]"
    with pytest.raises(ConfigError, match=r"data\.val\.annotations: expected"):
        build_split(load_config("configs/synthetic/slowfast.yaml", overrides), "val", CPU)


def test_the_environment_is_described() -> None:
    environment = describe_environment()
    assert environment["packages"]["torch"]
    assert (
        environment["git_revision"] is None
        or len(environment["git_revision"].removesuffix("-dirty")) == 40
    )
    json.dumps(environment)


@pytest.mark.parametrize(
    ("version", "name"), [(90800, "9.8.0"), (90905, "9.9.5"), (91002, "9.10.2"), (91099, "9.10.99")]
)
def test_a_cudnn_known_to_be_wrong_is_refused_for_bf16(version: int, name: str) -> None:
    fault = find_cudnn_fault(version, "bf16")
    assert fault is not None
    assert f"cuDNN {name} gives wrong bfloat16 3D convolutions" in fault
    assert "\n" not in fault
    assert find_cudnn_fault(version, "fp32") is None


@pytest.mark.parametrize("version", [None, 8902, 90100, 90703, 91100, 91300])
def test_other_cudnns_are_taken(version: int | None) -> None:
    assert find_cudnn_fault(version, "bf16") is None


def test_a_wrong_cudnn_stops_a_tool_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _device: None)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    with pytest.raises(ConfigError, match=r"precision: cuDNN 9\.10\.2 gives wrong"):
        prepare_torch(Config(device="cuda:0", precision="bf16"))


def test_the_processes_that_read_videos_compute_no_raft() -> None:
    model = ModelConfig(backbone="slow_only", streams="flow")
    data = DataConfig(flow_algorithm="raft")
    with pytest.raises(ConfigError, match=r"data\.flow_dir: expected the folder of `ava-det flow"):
        build_dataset_reader(Config(model=model, data=data))
    stored = Config(model=model, data=DataConfig(flow_algorithm="raft", flow_dir="flow"))
    reader = build_dataset_reader(stored)
    assert reader.flow is not None
    assert isinstance(reader.flow.source, StoredFlow)
    assert build_dataset_reader(Config(data=data)).flow is None
