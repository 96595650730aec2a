"""`ava-det prepare-ava-kinetics`: rows of whole videos become rows of clips that are there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from ava_det.commands.prepare_ava_kinetics import main
from ava_det.commands.train import main as train
from ava_det.config import load_config
from ava_det.datasets.ava.kinetics import Clip, group_clips, match_clips
from ava_det.formats.annotations import keyframes_from_annotations, load_annotations
from ava_det.tasks.splits import build_eval_loader, build_split
from tests.support.numbered_video import read_number, write_numbered_video

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs/ava_kinetics/slowfast_r50_4x16.yaml"
BOX = "0.1,0.2,0.6,0.9"


def write_rows(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def prepare(tmp_path: Path, *options: str) -> int:
    source = str(tmp_path / "kinetics_train_v1.0.csv")
    folders = ["--clips", str(tmp_path / "clips"), "--output", str(tmp_path / "out")]
    return main(["--annotations", source, *folders, *options])


def test_times_count_from_the_begin_of_the_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(
        tmp_path / "kinetics_train_v1.0.csv",
        f"-a_b,017.250000,{BOX},12",
        f"-a_b,017.250000,{BOX},80",
        f"-a_b,022.000000,{BOX},1",  # the clip has ended
        f"gone,5,{BOX},1",
        "other,3.100000",
    )
    touch(tmp_path / "clips", "abseiling/-a_b_000012_000022.mp4", "other_000003_000013.mp4")
    touch(tmp_path / "clips", "no_clip.mp4", "other_000009_000009.mp4")
    assert prepare(tmp_path) == 0
    assert (
        "3 of 5 rows, 2 keyframes of 2 clips; 1 videos have no clip, 1 keyframes are in none of"
        in capsys.readouterr().out
    )
    rows = load_annotations(tmp_path / "out" / "kinetics_train.csv")
    first, second = keyframes_from_annotations(rows, 80)
    assert (first.video_id, first.timestamp) == ("-a_b_000012_000022", 5.25)
    assert first.labels is not None
    assert first.labels.nonzero().tolist() == [[0, 11], [0, 79]]
    assert (second.video_id, second.timestamp) == ("other_000003_000013", 0.1)
    assert len(second.boxes) == 0


def test_a_keyframe_goes_to_the_clip_that_surrounds_it(tmp_path: Path) -> None:
    times = (12, 14, 15.9, 16.1, 25, 26)
    source = write_rows(tmp_path / "rows.csv", *(f"v,{time},{BOX},1" for time in times))
    paths = [Path(f"v_{start:06d}_{start + 10:06d}.mp4") for start in (6, 12, 16)]
    clips = group_clips(paths)
    assert clips == {
        "v": [Clip(f"v_{start:06d}_{start + 10:06d}", start, start + 10) for start in (6, 12, 16)]
    }
    found = match_clips(load_annotations(source), clips)
    starts = [int(name.split("_")[1]) for name in found.rows.video_ids]
    assert starts == [6, 12, 12, 12, 16]
    assert found.rows.timestamps.tolist() == [6, 2, 3.9, 4.1, 9]
    assert found.outside == 1


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path / "kinetics_train_v1.0.csv", f"v,3,{BOX},1")
    touch(tmp_path / "clips", "v_000000_000010.mp4")
    assert prepare(tmp_path, "--dry-run") == 0
    assert not (tmp_path / "out").exists()


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "kinetics_train_v1.0.csv", f"v,3,{BOX},1")
    (tmp_path / "clips").mkdir()
    assert prepare(tmp_path) == 2
    assert "expected clips with names such as ID_000012_000022.mp4" in capsys.readouterr().err
    touch(tmp_path / "clips", "w_000000_000010.mp4")
    assert prepare(tmp_path) == 2
    assert "expected clips of the videos of" in capsys.readouterr().err
    folders = ["--clips", str(tmp_path / "clips"), "--output", str(tmp_path / "out")]
    other = write_rows(tmp_path / "train.csv", f"v,3,{BOX},1")
    assert main(["--annotations", str(other), *folders]) == 2
    assert "expected a name such as kinetics_train_v1.0.csv" in capsys.readouterr().err
    again = write_rows(tmp_path / "again" / source.name, f"v,3,{BOX},1")
    assert main(["--annotations", str(source), str(again), *folders]) == 2
    assert "expected each of train, val and test once" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def make_set(tmp_path: Path) -> list[str]:
    """Two clips of 10 frames a second, the second 12 of one video and 40 of another."""
    folder = tmp_path / "clips" / "kinetics"
    folder.mkdir(parents=True)
    moments = [Fraction(number, 10) for number in range(60)]
    for name in ("v_000012_000018", "w_000040_000046"):
        write_numbered_video(folder / f"{name}.mp4", moments, rate=10)
    lines = [f"v,15.300000,{BOX},12", f"v,14.000000,{BOX},17", f"w,43.100000,{BOX},80"]
    write_rows(tmp_path / "kinetics_train_v1.0.csv", *lines)
    assert prepare(tmp_path) == 0
    rows = tmp_path / "out" / "kinetics_train.csv"
    return [
        f"data.video_dir={tmp_path}/clips",
        f"data.label_map={ROOT}/configs/ava/actions.pbtxt",
        f"data.train.annotations=[{rows}]",
        "data.train.excluded=null",
        f"data.val.annotations=[{rows}]",
        "data.val.excluded=null",
        "data.val.boxes=gt",
        "data.test_short_side=48",
        "weights=null",
        "train.num_workers=0",
    ]


def test_the_config_reads_the_frame_of_the_keyframe(tmp_path: Path) -> None:
    config = load_config(CONFIG, make_set(tmp_path))
    split = build_split(config, "val", torch.device("cpu"))
    frames = {}
    for batch in build_eval_loader(config, split, short_side=48):
        pictures = batch.slow[:, :, batch.slow.shape[2] // 2] * 0.225 + 0.45
        for keyframe, picture in zip(batch.keyframes, pictures, strict=True):
            number = read_number(picture.permute(1, 2, 0).numpy() * 255)
            frames[keyframe.video_id, keyframe.timestamp] = number
    assert frames == {
        ("v_000012_000018", 3.3): 33,
        ("v_000012_000018", 2.0): 20,
        ("w_000040_000046", 3.1): 31,
    }


@pytest.mark.slow
def test_the_config_trains_and_tests(tmp_path: Path) -> None:
    small = ["model.width=8", "model.beta_inv=4", "data.crop_size=48", "train.batch_size=2"]
    small += ["data.train_short_side=[48,48]", "train.epochs=1"]
    small += ["precision=fp32", "device=cpu", "train.warmup_epochs=0", "train.lr=0.01"]
    options = [*make_set(tmp_path), *small, f"output_dir={tmp_path}/run"]
    assert train(["--config", str(CONFIG), *options]) == 0
    assert (tmp_path / "run/checkpoints/last.pt").is_file()
