"""Persons with exactly one action (model.multilabel false), and keyframes that are not seconds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ava_det.config import Config, ConfigError, config_to_dict, load_config
from ava_det.inference.batch import predict_batch
from ava_det.inference.unlike_input import describe_unlike_input
from ava_det.structures import ClipBatch, Keyframe
from ava_det.tasks.action_detection import build_action_loss
from ava_det.tasks.splits import build_split, take_every_nth

CPU = torch.device("cpu")
BOX = "0.1,0.1,0.5,0.9"


class ToyDetector(nn.Module):
    """Gives the logits it holds, whatever it sees."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, slow: Tensor | None, fast: Tensor | None, rois: Tensor) -> Tensor:
        return self.logits


def make_batch(labels: Tensor) -> ClipBatch:
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.9], [0.5, 0.1, 0.9, 0.9]])
    keyframe = Keyframe("v", 1.0, boxes, labels, torch.ones(2))
    rois = torch.cat([torch.zeros(2, 1), boxes * 32], dim=1)
    return ClipBatch(torch.zeros(1, 3, 4, 32, 32), None, rois, labels, [keyframe])


def make_config(*overrides: str) -> Config:
    return load_config("configs/synthetic/slowfast.yaml", ["model.num_classes=3", *overrides])


def test_loss_and_scores_are_a_softmax_over_the_classes_of_each_box() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]])
    model = ToyDetector(logits)
    batch = make_batch(torch.eye(3)[[0, 1]])
    loss = build_action_loss(make_config("model.multilabel=false"), "fp32")
    expected = nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    torch.testing.assert_close(loss.compute(model, batch, 2).parts["loss"], expected)
    assert loss.initial_loss == pytest.approx(math.log(3))
    [detections] = predict_batch(model, batch, "fp32", multilabel=False)
    torch.testing.assert_close(detections.action_scores, logits.softmax(dim=1))
    [independent] = predict_batch(model, batch, "fp32")
    torch.testing.assert_close(independent.action_scores, logits.sigmoid())
    plain = build_action_loss(make_config(), "fp32")
    assert plain.initial_loss == pytest.approx(math.log(2))


def write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_a_person_with_two_actions_is_refused(tmp_path: Path) -> None:
    rows = [f"v,1,{BOX},1,0", f"v,1.04,{BOX},1,0", f"v,1.04,{BOX},3,0"]
    path = write(tmp_path / "train.csv", rows)
    two = make_config(f"data.train.annotations={path}", "data.train.excluded=null")
    assert len(build_split(two, "train", CPU).keyframes) == 2
    two.model.multilabel = False
    with pytest.raises(ConfigError, match=r"train.csv has one with 2 in v at 1.04 s"):
        build_split(two, "train", CPU)


def test_one_softmax_is_over_all_classes() -> None:
    with pytest.raises(ConfigError, match=r"train\.action_ids: expected null"):
        make_config("model.multilabel=false", "train.action_ids=[1,2]")


def test_every_nth_keyframe_of_each_video_and_its_rows(tmp_path: Path) -> None:
    times = [1 + frame / 25 for frame in range(7)]
    rows = [f"{video},{time!r},{BOX},1,{n}" for video in "ab" for time in times for n in (0, 1)]
    path = write(tmp_path / "val.csv", rows)
    config = make_config(
        f"data.val.annotations={path}",
        "data.val.excluded=null",
        "data.val.boxes=gt",
        "data.val.every_nth=3",
    )
    split = build_split(config, "val", CPU)
    kept = [(keyframe.video_id, round(keyframe.timestamp, 2)) for keyframe in split.keyframes]
    assert kept == [(video, time) for video in "ab" for time in (1.0, 1.12, 1.24)]
    assert split.annotations is not None
    assert len(split.annotations) == 12
    assert split.annotations.where(2).endswith("val.csv, line 7")
    with pytest.raises(ConfigError, match="every_nth: expected a whole number of at least 1"):
        make_config("data.val.every_nth=0")


def test_without_annotations_box_files_are_thinned_too() -> None:
    boxes = torch.zeros(0, 4)
    keyframes = [Keyframe("v", time, boxes, None, boxes[:, 0]) for time in (3.0, 1.0, 2.0, 4.0)]
    assert [k.timestamp for k in take_every_nth(keyframes, 2)] == [3.0, 1.0]
    assert take_every_nth(keyframes, 1) == keyframes


def test_a_checkpoint_carries_what_its_scores_mean() -> None:
    exclusive, independent = make_config("model.multilabel=false"), make_config()
    carried = config_to_dict(exclusive)
    assert carried["model"]["multilabel"] is False
    assert describe_unlike_input(exclusive, "last.pt", {"config": carried}) == []
    [sentence] = describe_unlike_input(independent, "last.pt", {"config": carried})
    assert sentence == (
        "last.pt was trained with model.multilabel=False, here it is True: the scores are not "
        "those that were learned"
    )
    del carried["model"]["multilabel"]  # of an older checkpoint
    [sentence] = describe_unlike_input(exclusive, "last.pt", {"config": carried})
    assert "model.multilabel=True, here it is False" in sentence
    assert describe_unlike_input(exclusive, "last.pt", {}) == []


def test_classes_exclude_each_other_in_a_softmax_and_in_a_classifier() -> None:
    assert not make_config().model.is_exclusive
    assert make_config("model.multilabel=false").model.is_exclusive
    assert make_config("model.head=classification").model.is_exclusive
