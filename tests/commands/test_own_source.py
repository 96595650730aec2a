"""No tool writes onto a file it reads: exit code 2, and the file is what it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ava_det.commands import (
    convert,
    demo,
    detect,
    export,
    import_annotations,
    score,
    train_head,
    transcode,
)
from ava_det.config import load_config
from ava_det.tasks.run_folder import RunFolder

CONFIG = "configs/synthetic/slowfast.yaml"
LABELS = 'item {\n  name: "stand"\n  id: 1\n}\n'


def make_files(folder: Path, video: Path) -> None:
    (folder / "gt.csv").write_text("v,0902,0.1,0.1,0.5,0.5,1,0\n")
    (folder / "det.csv").write_text("v,0902,0.1,0.1,0.5,0.5,1,0.9\n")
    (folder / "map.pbtxt").write_text(LABELS)
    (folder / "w.safetensors").write_bytes(b"the only copy")
    (folder / "w.onnx").write_bytes(b"the only copy")
    (folder / "videos").mkdir()
    shutil.copy(video, folder / "videos" / "v.mp4")
    shutil.copy(video, folder / "videos" / "w.mp4")
    (folder / "boxes").mkdir()
    table = "video,second,x1,y1,x2,y2,action,person\nv,1,0.1,0.1,0.5,0.5,stand,0\n"
    (folder / "boxes" / "train.csv").write_text(table)


FILES = ["--annotations", "gt.csv", "--detections", "det.csv", "--label-map", "map.pbtxt"]
CASES: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "convert": (convert.main, ["w.safetensors", "w.safetensors", "--config", CONFIG]),
    "convert, a link": (convert.main, ["w.safetensors", "link.safetensors", "--config", CONFIG]),
    "evaluate": (score.main, [*FILES, "--json", "gt.csv"]),
    "evaluate, a link": (score.main, [*FILES, "--json", "link.csv"]),
    "evaluate, compared": (
        score.main,
        [*FILES, "--compare", "boxes/train.csv", "--json", "boxes/train.csv"],
    ),
    "detect": (detect.main, ["--videos", "videos", "--at", "gt.csv", "--output", "gt.csv"]),
    "detect, a video": (detect.main, ["--videos", "videos/v.mp4", "--output", "videos/v.mp4"]),
    "demo": (demo.main, ["--video", "videos/v.mp4", "--output", "videos/v.mp4"]),
    "demo, a folder": (demo.main, ["--video", "videos", "--output", "videos"]),
    "demo, a hard link": (demo.main, ["--video", "videos/v.mp4", "--output", "hard.mp4"]),
    "demo, boxes": (
        demo.main,
        ["--video", "videos/v.mp4", "--boxes", "det.csv", "--csv", "det.csv"],
    ),
    "export": (
        export.main,
        ["--config", CONFIG, "--weights", "w.onnx", "--format", "onnx", "--output", "w.onnx"],
    ),
    "import": (
        import_annotations.main,
        ["csv", "boxes/train.csv", "--fps", "30", "--output", "boxes"],
    ),
    "transcode": (transcode.main, ["--videos", "videos", "--output", "videos", "--jobs", "1"]),
    "train_head": (
        train_head.main,
        [
            "--config",
            CONFIG,
            "weights=head/checkpoints/last.pt",
            "output_dir=.",
            "data.label_map=map.pbtxt",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_tool_refuses_to_write_onto_its_source(
    tmp_path: Path,
    synthetic: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    make_files(tmp_path, next((synthetic / "videos").glob("*.mp4")))
    monkeypatch.chdir(tmp_path)
    os.symlink("gt.csv", "link.csv")
    os.symlink("w.safetensors", "link.safetensors")
    os.link("videos/v.mp4", "hard.mp4")
    Path("head/checkpoints").mkdir(parents=True)
    Path("head/checkpoints/last.pt").write_bytes(b"the only copy")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    main, arguments = CASES[case]
    assert main(arguments) == 2
    assert "expected another file than" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_training_does_not_take_away_its_initial_weights(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    for path in (folder.last_checkpoint, folder.checkpoints / "epoch_0003.pt"):
        path.write_bytes(b"the only copy")
        config = load_config(CONFIG, [f"weights={path}", f"output_dir={tmp_path}"])
        folder.require_other_sources(config, trains=False)  # scoring writes no checkpoint
        with pytest.raises(ValueError, match="expected another file than weights reads"):
            folder.require_other_sources(config, trains=True)
    (tmp_path / "detections.csv").write_text("v,0902,0.1,0.1,0.5,0.5,,0.9\n")
    config = load_config(CONFIG, [f"data.val.boxes={tmp_path}/detections.csv"])
    with pytest.raises(ValueError, match=r"than data\.val\.boxes reads"):
        folder.require_other_sources(config, trains=False)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.pkl", "weights"])
def test_converted_weights_are_not_given_the_name_of_another_format(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        convert.main(["w.pyth", str(tmp_path / name), "--config", CONFIG])
    assert caught.value.code == 2
    assert "ends in .safetensors" in capsys.readouterr().err
