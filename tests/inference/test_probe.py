"""What `--weights best` would give and cost is said without loading weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint.zoo import ZOO, find_best
from ava_det.choices import DEFAULT_ACTION_WEIGHTS
from ava_det.commands.demo import main
from ava_det.config import ConfigError
from ava_det.inference import probe
from ava_det.operations import demo


def test_the_cost_is_the_work_over_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "measure_gmacs_per_second", lambda device: 100.0)
    said = probe.describe_best()
    best = ZOO[find_best()]
    assert said.startswith(f"--weights best would be {find_best()}: {best.mean_ap:g} mAP")
    assert (
        f"in place of {ZOO[DEFAULT_ACTION_WEIGHTS].mean_ap:g} of {DEFAULT_ACTION_WEIGHTS}" in said
    )
    found = re.search(r"at least ([\d.]+) s a keyframe on this machine \(([\d.]+) GMACs", said)
    assert found is not None
    seconds, gmacs = map(float, found.groups())
    assert gmacs == pytest.approx(1171, rel=0.005)  # of 256 x 336: the last 5 pixels are cut off
    assert seconds == pytest.approx(gmacs / 100, rel=0.05)


def test_the_probe_measures_a_plausible_speed() -> None:
    assert 0.05 < probe.measure_gmacs_per_second(torch.device("cpu")) < 1e5


def test_the_demo_says_it_before_it_loads_its_default_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(args: object) -> None:
        raise ConfigError("stopped before any weights")

    monkeypatch.setattr(demo, "load_predictor", stop)
    monkeypatch.setattr(demo, "describe_best", lambda: "--weights best would be THIS")
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "videos" / name).write_bytes(b"")
    options = ["--video", str(tmp_path / "videos"), "--json", str(tmp_path / "out")]
    assert main(options) == 2
    assert "--weights best would be THIS" in capsys.readouterr().err
    assert main([*options, "--weights", "umt/vit_b"]) == 2
    assert "--weights best" not in capsys.readouterr().err
