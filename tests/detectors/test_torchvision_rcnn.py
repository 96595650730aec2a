"""The torchvision detector around a network that stands in for the downloaded one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ava_det.detectors import PersonDetector, torchvision_rcnn
from ava_det.detectors.torchvision_rcnn import TorchvisionDetector


class FakeNetwork(nn.Module):
    """Finds one person as large as the frame, one small person and one dog; keeps what it was
    shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        [image] = images
        self.seen.append(image)
        height, width = image.shape[1:]
        boxes = torch.tensor([[0.0, 0.0, width, height], [1, 1, 5, 5], [2, 2, 9, 9]])
        return [
            {
                "boxes": boxes,
                "labels": torch.tensor([1, 18, 1]),
                "scores": torch.tensor([0.9, 0.8, 0.7]),
            }
        ]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> FakeNetwork:
    network = FakeNetwork()
    monkeypatch.setattr(torchvision_rcnn, "fasterrcnn_resnet50_fpn_v2", lambda **_: network)
    return network


def test_persons_of_every_frame_and_nothing_else(network: FakeNetwork) -> None:
    detector = TorchvisionDetector()
    assert isinstance(detector, PersonDetector)
    assert detector.name == "torchvision"
    assert not network.training
    frame = np.full((40, 60, 3), (255, 0, 51), np.uint8)
    detector.begin_video([frame])
    results = detector([frame, frame[:20]])
    assert [boxes.tolist() for boxes, _ in results] == [
        [[0, 0, 60, 40], [2, 2, 9, 9]],
        [[0, 0, 60, 20], [2, 2, 9, 9]],
    ]
    for boxes, scores in results:
        assert boxes.dtype == scores.dtype == np.float32
        np.testing.assert_allclose(scores, [0.9, 0.7])
    # RGB in 0..1, channels first, as torchvision's transforms of these weights expect.
    assert network.seen[0].shape == (3, 40, 60)
    torch.testing.assert_close(network.seen[0][:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
