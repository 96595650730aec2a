"""Weights by name, with a local file in the place of the network."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.checkpoint import WeightsError, load_checkpoint, resolve_weights, zoo
from ava_det.checkpoint.published import PublishedWeights
from ava_det.config import load_config
from tests.support.quiet_server import QuietHandler

ROOT = Path(__file__).resolve().parents[2]
NAME = "pyslowfast/SLOWFAST_32x2_R101_50_50"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(zoo.ZOO, NAME, PublishedWeights(url, "Apache-2.0"))


def test_a_name_is_downloaded_once_with_its_license(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "published.pkl"
    torch.save({"model_state": {"x": torch.ones(3)}}, source)
    publish(monkeypatch, source.as_uri())
    assert torch.equal(load_checkpoint(NAME)["model_state"]["x"], torch.ones(3))
    printed = capsys.readouterr().err
    assert "license: Apache-2.0" in printed
    assert source.as_uri() in printed
    source.unlink()
    assert resolve_weights(NAME) == cache / "pyslowfast" / "published.pkl"
    assert [file.name for file in (cache / "pyslowfast").iterdir()] == ["published.pkl"]


def test_no_network_is_one_sentence_with_url_and_place(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, "http://weights.invalid/model.pkl")
    with pytest.raises(WeightsError) as caught:
        resolve_weights(NAME)
    message = str(caught.value)
    assert (
        "download http://weights.invalid/model.pkl elsewhere and put it at "
        f"{cache}/pyslowfast/model.pkl" in message
    )
    assert "\n" not in message
    assert list(cache.rglob("*.*")) == []


def test_a_wrong_hash_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "resnet-00000000.pth"
    source.write_bytes(b"something else")
    publish(monkeypatch, source.as_uri())
    with pytest.raises(WeightsError, match="SHA-256 does not start with 00000000"):
        resolve_weights(NAME)
    assert list(cache.rglob("*.pth")) == []


def test_a_mistyped_name_gets_a_hint() -> None:
    with pytest.raises(WeightsError, match=r"did you mean pyslowfast/SLOWFAST_32x2_R101_50_50"):
        resolve_weights("pyslowfast/SLOWFAST_32x2_R101_5050")


def test_unpublished_weights_are_said_to_be_so() -> None:
    with pytest.raises(WeightsError, match="published the recipe and the result but no weights"):
        resolve_weights("pyslowfast/SLOWFAST_32x2_R50_SHORT")


def test_the_table_for_people_lists_every_name_and_url() -> None:
    text = (ROOT / "MODEL_ZOO.md").read_text()
    for name, entry in zoo.ZOO.items():
        assert f"`{name}`" in text
        assert entry.url is None or entry.url in text


def test_what_may_not_be_sold_says_so_in_the_table_and_when_it_is_downloaded() -> None:
    rows = (ROOT / "MODEL_ZOO.md").read_text().splitlines()
    for name, entry in zoo.ZOO.items():
        (row,) = (row for row in rows if row.startswith(f"| `{name}` |"))
        assert ("not for commercial use" in row) is not entry.commercial, name
        assert ("not for commercial use" in entry.license) is not entry.commercial, name


def test_every_name_in_the_configs_is_in_the_zoo() -> None:
    configs = [load_config(path) for path in sorted((ROOT / "configs").rglob("*.yaml"))]
    named = {config.weights for config in configs} | {config.flow_weights for config in configs}
    assert {name for name in named if name} <= set(zoo.ZOO)
    assert all(zoo.ZOO[name].url for name in named if name)


DOWNLOAD = """
import sys
from ava_det.checkpoint import zoo
zoo.ZOO["x/y"] = zoo.PublishedWeights(sys.argv[1], "none")
print(zoo.resolve_weights("x/y"))
"""


def test_of_many_processes_one_downloads(tmp_path: Path, cache: Path) -> None:
    torch.save({"model": {"x": torch.ones(3)}}, tmp_path / "w.pth")
    asked: list[str] = []

    class SlowHandler(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            time.sleep(1)  # until the others are there
            super().do_GET()

    handler = partial(SlowHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/w.pth"
        command = [sys.executable, "-c", DOWNLOAD, url]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
        said = [process.communicate(timeout=120) for process in processes]
        server.shutdown()
    assert [process.returncode for process in processes] == [0, 0]
    assert asked == ["/w.pth"]
    assert {out.strip() for out, _ in said} == {str(cache / "x" / "w.pth")}
    assert sum("downloading" in err for _, err in said) == 1
    assert (cache / "x" / "w.pth").read_bytes() == (tmp_path / "w.pth").read_bytes()


def test_a_cache_without_locks_still_downloads(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": {"x": torch.ones(3)}}, tmp_path / "published.pkl")
    publish(monkeypatch, (tmp_path / "published.pkl").as_uri())
    cache.mkdir()
    (cache / "locks").write_text("a file where the folder would be")
    assert resolve_weights(NAME).is_file()


def test_a_failed_download_lets_the_next_process_in(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, (tmp_path / "published.pkl").as_uri())
    with pytest.raises(WeightsError, match="the download failed"):
        resolve_weights(NAME)
    torch.save({"model": {"x": torch.ones(3)}}, tmp_path / "published.pkl")
    assert resolve_weights(NAME).is_file()


def test_a_name_in_another_case_gets_a_hint(tmp_path: Path) -> None:
    (tmp_path / "Last.PT").write_bytes(b"")
    with pytest.raises(
        WeightsError, match=r"no such name in MODEL_ZOO\.md; did you mean .*Last\.PT"
    ):
        resolve_weights(tmp_path / "last.pt")


def test_every_detector_on_ava_has_the_score_of_the_table() -> None:
    text = (ROOT / "MODEL_ZOO.md").read_text()
    section = text.partition("## AVA and AVA-Kinetics")[2].partition("\n## ")[0]
    rows = [row.split(" | ") for row in section.splitlines() if row.startswith("| `")]
    scored = {name for name, entry in zoo.ZOO.items() if entry.mean_ap is not None}
    assert scored == {row[0].strip("| `") for row in rows}
    for row in rows:
        name = row[0].strip("| `")
        number, version = row[2].split()
        assert zoo.ZOO[name].mean_ap == float(number), name
        assert version in ("(v2.1)", "(v2.2)"), name


def test_best_is_decided_by_score_license_and_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {
        "a/weak": PublishedWeights("https://a/weak.pth", "MIT", mean_ap=30.0),
        "a/strong": PublishedWeights("https://a/strong.pth", "MIT", mean_ap=35.0),
        "a/by_hand": PublishedWeights(None, "MIT", "https://a", "h.pth", mean_ap=40.0),
        "a/lent": PublishedWeights("https://a/l.pth", "NC", mean_ap=45.0, commercial=False),
        "a/start": PublishedWeights("https://a/s.pth", "MIT"),
    }
    monkeypatch.setattr(zoo, "ZOO", planted)
    assert zoo.find_best() == "a/strong"
    assert zoo.describe_score("a/strong") == (
        "35 mAP on AVA as its authors report it; license: MIT; stronger, but fetched by hand "
        "(MODEL_ZOO.md): a/by_hand (40)"
    )
    monkeypatch.setitem(planted, "a/strong", PublishedWeights("https://a/s", "MIT", mean_ap=29.0))
    assert zoo.find_best() == "a/weak"


def test_best_is_said_and_taken_as_its_own_name(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = zoo.find_best()
    assert zoo.choose_weights("best") == name
    said = capsys.readouterr().err
    assert said.startswith(f"best is {name}: {zoo.ZOO[name].mean_ap:g} mAP")
    assert zoo.ZOO[name].license in said
    assert zoo.choose_weights(NAME) == NAME
    source = tmp_path / "strong.pth"
    torch.save({"state_dict": {"x": torch.ones(3)}}, source)
    monkeypatch.setitem(zoo.ZOO, name, PublishedWeights(source.as_uri(), "MIT", mean_ap=99.0))
    assert resolve_weights("best") == resolve_weights(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").write_bytes(source.read_bytes())
    assert zoo.choose_weights("best") == "best"  # a file of that name goes first
    assert resolve_weights("best") == Path("best")
