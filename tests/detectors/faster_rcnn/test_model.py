"""The bare network: shapes, batches, losses, and that it learns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ava_det.boxes import compute_iou
from ava_det.detectors.faster_rcnn import FasterRCNN
from ava_det.detectors.faster_rcnn.anchors import make_anchors
from ava_det.detectors.faster_rcnn.box_coder import PROPOSAL_WEIGHTS, decode_boxes, encode_boxes
from ava_det.detectors.faster_rcnn.box_head import choose_levels
from ava_det.detectors.faster_rcnn.matching import (
    BACKGROUND,
    FOREGROUND,
    IGNORED,
    match_boxes,
    sample,
)

SMALL = {"depth": 18, "width": 16, "channels": 16, "hidden": 32, "num_classes": 2}
# Of a logit, relative: 22 layers one after the other, each a sum of up to 9 * 128 products, whose
# rounding errors of 2 ** -24 grow with the root of their number (Higham and Mary, 2019). A score's
# slope over its logit is 1 / 4 at most.
ROUNDING = 22 * (9 * 128) ** 0.5 * 2.0**-24
LOSSES = {"rpn_cls", "rpn_loc", "box_cls", "box_loc"}


def make_model(norm: str = "bn", **changes: object) -> FasterRCNN:
    torch.manual_seed(0)
    return FasterRCNN(**(SMALL | {"norm": norm} | changes))  # type: ignore[arg-type]


def make_images(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes
    ]


@pytest.mark.parametrize("norm", ["frozen_bn", "bn", "gn"])
@pytest.mark.parametrize("depth", [18, 50])
def test_every_parameter_learns(norm: str, depth: int) -> None:
    model = make_model(norm, depth=depth)
    targets = [
        (torch.tensor([[8.0, 10, 40, 90], [50, 20, 80, 60]]), torch.tensor([0, 1])),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ]
    losses = model(make_images((96, 128), (70, 50)), targets)
    assert losses.keys() == LOSSES
    assert all(loss.ndim == 0 and loss.isfinite() and loss > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    assert not [
        name
        for name, value in model.named_parameters()
        if value.grad is None or not value.grad.any()
    ]


def test_images_without_a_box_are_all_background() -> None:
    model = make_model()
    losses = model(make_images((64, 64)), [(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))])
    assert losses["rpn_loc"] == losses["box_loc"] == 0
    assert losses["rpn_cls"] > 0 and losses["box_cls"] > 0
    sum(losses.values()).backward()


def test_one_image_is_learnt_by_heart() -> None:
    model = make_model("gn", channels=32, hidden=64, pixel_std=(57.0, 57.0, 57.0))
    image = torch.full((3, 64, 96), 90, dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 8, 30, 56], [50, 20, 90, 44]])
    classes = torch.tensor([0, 1])
    for (x1, y1, x2, y2), color in zip(boxes.long().tolist(), (220, 20), strict=True):
        image[:, y1:y2, x1:x2] = color
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, 60)
    for _ in range(60):
        optimizer.zero_grad()
        sum(model([image], [(boxes, classes)]).values()).backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        [(found, scores, labels)] = model.eval()([image])
    sure = scores > 0.5
    assert sorted(labels[sure].tolist()) == [0, 1]
    assert compute_iou(found[sure][labels[sure].argsort()], boxes).diagonal().min() > 0.75


@pytest.mark.parametrize("norm", ["frozen_bn", "gn"])
def test_a_batch_gives_what_its_images_give_alone(norm: str) -> None:
    model = make_model(norm, min_score=0.0).eval()
    images = make_images((96, 128), (96, 128))
    with torch.inference_mode():
        together = model(images)
        for image, (boxes, scores, classes) in zip(images, together, strict=True):
            [(own_boxes, own_scores, own_classes)] = model([image])
            assert len(boxes) == 100
            largest = float(own_scores.logit().abs().max())
            torch.testing.assert_close(scores, own_scores, atol=ROUNDING * largest / 4, rtol=0)
            assert torch.equal(classes, own_classes)
            torch.testing.assert_close(boxes, own_boxes, atol=1e-3, rtol=0)


def test_results_are_within_the_image_best_first() -> None:
    model = make_model(min_score=0.0).eval()
    sizes = [(33, 100), (128, 40), (1, 1)]
    with torch.inference_mode():
        results = model(make_images(*sizes))
    for (height, width), (boxes, scores, classes) in zip(sizes, results, strict=True):
        assert boxes.dtype == scores.dtype == torch.float32
        assert (scores.diff() <= 0).all() and ((classes == 0) | (classes == 1)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
        assert (boxes <= torch.tensor([width, height, width, height])).all()


def test_nothing_is_found_above_a_score_nothing_reaches() -> None:
    with torch.inference_mode():
        [(boxes, scores, classes)] = make_model(min_score=1.0).eval()(make_images((64, 64)))
    assert boxes.shape == (0, 4) and scores.shape == classes.shape == (0,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_float_results(dtype: torch.dtype) -> None:
    model = make_model(min_score=0.0).eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype):
        [(boxes, scores, _)] = model(make_images((64, 96)))
    assert boxes.dtype == scores.dtype == torch.float32
    assert len(boxes) and scores.isfinite().all()


def test_bfloat16_trains() -> None:
    model = make_model("gn")
    with torch.autocast("cpu", torch.bfloat16):
        losses = model(
            make_images((64, 96)), [(torch.tensor([[4.0, 4, 40, 60]]), torch.tensor([1]))]
        )
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()


def test_a_wrong_architecture_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="depth: expected one of"):
        make_model(depth=20)
    with pytest.raises(ValueError, match="norm: expected one of frozen_bn, bn, gn"):
        make_model("batch")
    with pytest.raises(ValueError, match="anchor_sizes: expected 5"):
        make_model(anchor_sizes=(32, 64))


def test_the_architecture_builds_the_same_network_again() -> None:
    model = make_model("gn", depth=50, groups=2, group_width=8, pixel_std=(57.0, 57.0, 57.0))
    again = FasterRCNN(**model.architecture)
    again.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(again.pixel_std, model.pixel_std)


def test_anchors_stand_on_the_corners_of_cells() -> None:
    [anchors] = make_anchors([(2, 3)], [16], [32], torch.device("cpu"))
    assert anchors.shape == (18, 4)
    torch.testing.assert_close(anchors[1], torch.tensor([-16.0, -16, 16, 16]))
    # the next cell of the row
    torch.testing.assert_close(anchors[4], torch.tensor([0.0, -16, 32, 16]))
    wide = anchors[9]
    tall = anchors[11]  # of the second row
    assert wide[2] - wide[0] == pytest.approx(2 * (wide[3] - wide[1]))
    assert tall[3] - tall[1] == pytest.approx(2 * (tall[2] - tall[0]))
    assert (wide[1] + wide[3]) / 2 == pytest.approx(16)


coordinates = st.floats(0, 500)
sides = st.floats(1, 400)


@settings(deadline=None)
@given(st.lists(st.tuples(coordinates, coordinates, sides, sides), min_size=2, max_size=6))
def test_offsets_lead_back_to_the_box(drawn: list[tuple[float, ...]]) -> None:
    boxes = torch.tensor([[x, y, x + width, y + height] for x, y, width, height in drawn])
    origins = boxes.flip(0)
    grows = ((boxes[:, 2:] - boxes[:, :2]) / (origins[:, 2:] - origins[:, :2])).amax(dim=1)
    offsets = encode_boxes(boxes, origins, PROPOSAL_WEIGHTS)
    back = decode_boxes(offsets[:, None], origins, PROPOSAL_WEIGHTS)[:, 0]
    within = grows < 62  # a box grows by at most 1000 / 16
    torch.testing.assert_close(back[within], boxes[within], atol=2e-2, rtol=1e-4)


def test_levels_by_size() -> None:
    sides = torch.tensor([10.0, 111, 113, 223, 224, 447, 449, 4000])
    boxes = torch.stack((torch.zeros(8), torch.zeros(8), sides, sides), dim=1)
    assert choose_levels(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_matching_by_overlap() -> None:
    labeled = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 120]])
    candidates = torch.tensor(
        [[0.0, 0, 10, 9], [0, 0, 10, 5], [0, 0, 10, 2], [200, 200, 210, 210], [100, 100, 110, 104]]
    )
    nearest, kind = match_boxes(candidates, labeled, 0.3, 0.7)
    assert kind.tolist() == [FOREGROUND, IGNORED, BACKGROUND, BACKGROUND, BACKGROUND]
    assert nearest[[0, 1, 2, 4]].tolist() == [0, 0, 0, 1]
    _, kept = match_boxes(candidates, labeled, 0.3, 0.7, keep_best=True)
    assert kept.tolist() == [FOREGROUND, IGNORED, BACKGROUND, BACKGROUND, FOREGROUND]
    far = torch.tensor([[900.0, 900, 910, 910]])
    _, alone = match_boxes(candidates, far, 0.3, 0.7, keep_best=True)
    assert alone.tolist() == [BACKGROUND] * 5


def test_sampling_keeps_its_shares() -> None:
    kind = torch.tensor([FOREGROUND] * 30 + [BACKGROUND] * 500 + [IGNORED] * 100)
    foreground, background = sample(kind, 64, 0.25)
    assert len(foreground) == 16 and len(background) == 48
    assert (kind[foreground] == FOREGROUND).all() and (kind[background] == BACKGROUND).all()
    assert len(foreground.unique()) == 16 and len(background.unique()) == 48
    foreground, background = sample(kind[25:], 64, 0.25)
    assert len(foreground) == 5 and len(background) == 59
