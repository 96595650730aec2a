"""The study of all families: its rows are networks of today, its table the runs' numbers."""

from __future__ import annotations

import torch

from ava_det.config import load_config
from ava_det.config.networks import FAMILIES
from ava_det.models.build import build_model
from studies.families import ROWS, format_table
from studies.synthetic_table import CLASS_GROUPS, Run

CONFIG = "configs/synthetic/slowfast.yaml"
SIZES = {"swin3d_s", "swin3d_b"}  # larger forms of swin3d_t


def test_every_family_has_a_row() -> None:
    assert set(ROWS) == set(FAMILIES) - SIZES


def test_rows_are_small_networks_that_see_the_same_time() -> None:
    for family, row in ROWS.items():
        config = load_config(CONFIG, row.overrides)
        assert config.model.backbone == family
        span = config.model.num_slow_frames * config.model.slow_stride
        assert span == (16 if family == "two_stream_cnn" else 64), family
        with torch.device("meta"):
            model = build_model(config)
        assert sum(p.numel() for p in model.parameters()) < 15e6, family


def planted_run(family: str, seed: int, ap: float) -> Run:
    groups = zip(CLASS_GROUPS.values(), (ap, ap / 2, 0.0), strict=True)
    per_class = {str(action): {"AP": value} for ids, value in groups for action in ids}
    return Run(family, seed, {}, {"mAP": ap, "per_class": per_class}, [], 100.0 + seed)


def test_the_table_holds_each_group_apart_and_the_papers_beside() -> None:
    runs = {
        "s3d": [planted_run("s3d", seed, ap) for seed, ap in enumerate((0.2, 0.4, 0.6))],
        "two_stream_cnn": [planted_run("two_stream_cnn", seed, 0.5) for seed in range(3)],
    }
    lines = format_table(runs, {"s3d": 1.25, "two_stream_cnn": 0.5}).splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells == [
        "S3D-G (`s3d`)",
        "0.400 ± 0.200",
        "0.400 ± 0.200",
        "0.200 ± 0.100",
        "0.000 ± 0.000",
        "1.250",
        "101 s",
        "77.2 with flow",
        "17.4 (ACRN)",
    ]
    assert len(lines[0].split("|")) == len(lines[1].split("|")) == len(lines[2].split("|"))
    assert lines[3].endswith("| 101 s |  |  |")
    assert lines[-1].startswith("3 seed(s)")
