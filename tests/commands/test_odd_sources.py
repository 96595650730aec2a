"""Odd names, folders of many kinds and files of several films, through the tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import pytest

from tests.support.tool_runs import RunTool


def test_names_with_a_dash_and_a_colon_are_read_and_written(
    demo: RunTool,
    run_tool: RunTool,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, "-12:30:05 50%.mp4")
    code, _, err = demo(
        *("--video", "-12:30:05 50%.mp4", "--output", "-cam:1.mp4", "--json", "-cam:1.jsonl"),
        *("--end", "1"),
    )
    assert code == 0, err
    with av.open("file:-cam:1.mp4") as container:
        assert container.streams.video[0].frames == 15
    assert json.loads(Path("-cam:1.jsonl").read_text())["video"] == "-12:30:05 50%"
    code, _, err = run_tool(
        *("detect_persons", "--videos", "-12:30:05 50%.mp4", "--output", "-b.csv"),
        *("--detector", "motion"),
    )
    assert code == 0, err
    assert Path("-b.csv").read_text().startswith("-12:30:05 50%,")


def test_a_tree_of_videos_becomes_a_tree_of_results(
    demo: RunTool, run_tool: RunTool, video: Path, tmp_path: Path
) -> None:
    folder, results = tmp_path / "folder", tmp_path / "results"
    for place in ("cam1/0001.MTS", "cam2/0001.mp4", "top.f4v"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, folder / place)
    (folder / "top.jpg").write_bytes(b"\xff\xd8")
    flat = ["--video", folder, "--json", results, "--end", "1"]
    code, said, err = demo(*flat)
    assert code == 0, err
    assert "1 video: 1 processed" in said
    assert "3 entries are no videos and are left out: cam1/, cam2/, top.jpg; --recursive" in err
    code, said, err = demo(*flat, "--recursive")
    assert code == 0, err
    assert "3 videos: 2 processed, 1 there before" in said
    found = sorted(path.relative_to(results).as_posix() for path in results.rglob("*.jsonl"))
    assert found == ["cam1/0001.jsonl", "cam2/0001.jsonl", "top.jsonl"]
    detect = ["detect_persons", "--videos", folder, "--detector", "motion"]
    code, _, err = run_tool(*detect, "--recursive", "--output", tmp_path / "boxes.csv")
    assert code == 2
    assert "have the same video id 0001" in err  # ids of a table have no folders
    (folder / "cam2" / "0001.mp4").rename(folder / "cam2" / "0002.mp4")
    code, said, err = run_tool(*detect, "--recursive", "--output", tmp_path / "boxes.csv")
    assert code == 0, err
    assert "in 3 videos" in said


def test_the_stream_of_a_file_is_chosen(
    demo: RunTool, run_tool: RunTool, video: Path, tmp_path: Path
) -> None:
    two = tmp_path / "two.mkv"
    with av.open(str(video)) as source, av.open(str(two), "w") as target:
        small = target.add_stream("mpeg4", rate=10)
        small.width, small.height, small.pix_fmt = 64, 48, "yuv420p"
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for index in range(20):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = index
            target.mux(small.encode(frame))
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
        target.mux(small.encode())
    sizes = {}
    for options in ((), ("--stream", "1")):
        code, _, err = demo("--video", two, "--output", tmp_path / "o.mp4", "--end", "1", *options)
        assert code == 0, err
        assert ("0 is taken; demo, detect and transcode choose another" in err) == (not options)
        with av.open(str(tmp_path / "o.mp4")) as container:
            sizes[options] = container.streams.video[0].width
    assert sizes[()] == 64 < sizes["--stream", "1"]
    detect = ["detect_persons", "--videos", two, "--detector", "motion"]
    code, _, err = run_tool(*detect, "--stream", "2", "--output", tmp_path / "boxes.csv")
    assert code == 1
    assert "received stream 2" in err
