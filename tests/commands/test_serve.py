"""`ava-det serve` from its options on: what it refuses, what it says, and how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'ava_det[web]'")
pytest.importorskip("starlette", reason="needs starlette: pip install 'ava_det[web]'")

from ava_det.commands.serve import main
from ava_det.operations.serve import choose_token, hide_login
from tests.support.live_server import make_video


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--video", "nowhere.mp4"], "nowhere.mp4"),
        (["--video", "{video}", "--token", "a b"], "--token: expected letters"),
        (["--video", "{video}", "--host", "203.0.113.1"], "203.0.113.1"),
        (["--video", "{video}", "--weights", "nowhere.pt"], "nowhere.pt"),
        (["--video", "{video}", "--detector", "eyes"], "--detector"),
        (["--video", "{folder}", "--events", "rules.yaml"], "--events: expected a live source"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    video = str(make_video(tmp_path / "a.mp4", 1))
    given = [word.format(video=video, folder=tmp_path) for word in words]
    try:
        code = main(["--port", "0", *given])
    except SystemExit as ended:
        code = int(ended.code)
    err = capsys.readouterr().err
    assert code == 2
    assert expected in err.strip().splitlines()[-1]
    assert "Traceback" not in err


def test_without_the_extra_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # These alone are imported anew: a second copy of the others would stay for later tests.
    for name in ("ava_det.operations.serve", "ava_det.live_page.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["--video", "0"]) == 2
    assert "needs uvicorn: pip install 'ava_det[web]'" in capsys.readouterr().err


def test_a_token_is_made_for_other_machines_alone() -> None:
    assert choose_token(None, "127.0.0.1") is None
    assert choose_token("abc", "127.0.0.1") == "abc"
    made = {choose_token(None, "0.0.0.0") for _ in range(20)}
    assert len(made) == 20
    assert all(token is not None and len(token) >= 24 for token in made)
    assert all(choose_token(token, "0.0.0.0") == token for token in made)


def test_a_page_tells_no_password() -> None:
    assert hide_login("rtsp://me:s3cr@t@camera:554/1") == "rtsp://camera:554/1"
    for name in ("rtsp://camera/a@b", "0", "a@b.mp4"):
        assert hide_login(name) == name


RULES = """
rules:
  - {name: somebody, count: 1, do: [json: found.jsonl]}
"""


@pytest.mark.slow
def test_events_are_found_and_ctrl_c_closes_everything(
    tmp_path: Path, weights: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    (tmp_path / "rules.yaml").write_text(RULES)
    words = ["serve", "--video", video, "--weights", weights, "--detector", "motion", "--port", "0"]
    words += ["--events", "rules.yaml", "--every", "0.5", "data.min_person_score=0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ava_det", *map(str, words), "--host", "localhost"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None and process.stderr is not None
    said = process.stdout.readline()
    assert said.startswith(f"serving {video} at http://localhost:"), process.stderr.read()
    url = said.split()[-1]
    stream = urllib.request.urlopen(url + "pictures", timeout=60)
    assert stream.read(1000)
    found = tmp_path / "found.jsonl"
    until = time.monotonic() + 60
    while not found.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    assert json.loads(found.read_text().splitlines()[0])["rule"] == "somebody"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 1
    stream.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)
