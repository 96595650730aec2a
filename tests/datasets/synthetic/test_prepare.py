"""The files of the dataset: same options, same bytes; safe to run twice; AVA's format; real
H.264.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from ava_det.commands.render import main
from ava_det.datasets.synthetic import prepare

SMALL = ("--num-train", "2", "--num-val", "1", "--seconds", "7", "--size", "96x80")
TEXTS = (
    *(f"{split}{kind}.csv" for split in prepare.SPLITS for kind in ("", "_excluded")),
    "labelmap.pbtxt",
)


def render(folder: Path, *options: str) -> dict[str, bytes]:
    assert main(["--output", str(folder), *SMALL, *options]) == 0
    return {name: (folder / name).read_bytes() for name in TEXTS}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    render(folder)
    return folder


def read_rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_same_command_gives_the_same_bytes_on_any_number_of_processes(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = render(tmp_path)
    assert again == {name: (rendered / name).read_bytes() for name in TEXTS}


def test_another_seed_gives_another_dataset(rendered: Path, tmp_path: Path) -> None:
    other = render(tmp_path, "--seed", "1")
    assert other["train.csv"] != (rendered / "train.csv").read_bytes()


def test_a_second_run_leaves_a_finished_dataset_alone(rendered: Path) -> None:
    def look() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in sorted(rendered.rglob("*"))}

    before = look()
    render(rendered)
    assert look() == before


def test_an_unfinished_or_different_dataset_is_rendered_again(tmp_path: Path) -> None:
    first = render(tmp_path)
    (tmp_path / prepare.STAMP).unlink()
    (tmp_path / "train.csv").write_text("half a")
    (tmp_path / "videos" / "train_00099.mp4").write_text("from a larger dataset")
    assert render(tmp_path) == first
    assert len(list((tmp_path / "videos").iterdir())) == 4
    assert render(tmp_path, "--seed", "1") != first


def test_rows_are_avas(rendered: Path) -> None:
    label_map = dict(
        re.findall(r'name: "(.+)"\s+id: (\d+)', (rendered / "labelmap.pbtxt").read_text())
    )
    seen = set()
    for split in prepare.SPLITS:
        rows = read_rows(rendered / f"{split}.csv")
        excluded = {tuple(row) for row in read_rows(rendered / f"{split}_excluded.csv")}
        assert rows
        for video_id, timestamp, x1, y1, x2, y2, action_id, person_id in rows:
            assert (rendered / "videos" / f"{video_id}.mp4").exists()
            assert timestamp in {"0902", "0903", "0904"}
            assert (video_id, timestamp) not in excluded
            assert 0 <= float(x1) < float(x2) <= 1
            assert 0 <= float(y1) < float(y2) <= 1
            assert action_id in label_map.values()
            assert person_id in {"0", "1", "2"}
            seen.add(split + video_id)
    assert len(seen) == 4


def test_names_and_ids_are_avas(rendered: Path, shared_data: Path) -> None:
    ours = set(re.findall(r'name: "(.+)"\s+id: (\d+)', (rendered / "labelmap.pbtxt").read_text()))
    official = (shared_data / "ava" / "ava_action_list_v2.2.pbtxt").read_text()
    assert ours <= set(re.findall(r'name: "(.+)"\s+label_id: (\d+)', official))


def test_videos_are_h264_with_a_key_picture_every_second(rendered: Path) -> None:
    with av.open(str(rendered / "videos" / "val_0000000.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height, stream.average_rate) == (96, 80, 15)
        frames = list(container.decode(stream))
    assert len(frames) == 7 * 15
    assert [frame.time for frame in frames] == pytest.approx([i / 15 for i in range(len(frames))])
    assert [i for i, frame in enumerate(frames) if frame.key_frame] == list(range(0, 7 * 15, 15))
    assert not [frame for frame in frames if frame.pict_type == av.video.frame.PictureType.B]


@pytest.mark.parametrize(
    "options",
    [
        ("--size", "192"),
        ("--size", "193x144"),
        ("--size", "32x32"),
        ("--num-train", "0"),
        ("--seconds", "4"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    options: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--output", str(tmp_path / "out"), *options])
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["--output", str(tmp_path / "file"), *SMALL]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_process_that_renders_imports_no_torch() -> None:
    """Its import would take longer than a short video."""
    code = f"import sys, {prepare.__name__}; print('torch' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert finished.stdout.strip() == "False", finished.stderr
