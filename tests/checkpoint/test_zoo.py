"""Weights by name, with a local file in the place of the network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import WeightsError, load_checkpoint, resolve_weights, zoo
from ava_det.config import load_config

ROOT = Path(__file__).resolve().parents[2]
NAME = "pyslowfast/SLOWFAST_32x2_R101_50_50"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVA_DET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def publish(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(zoo.ZOO, NAME, zoo.PublishedWeights(url, "Apache-2.0"))


def test_a_name_is_downloaded_once_with_its_licence(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "published.pkl"
    torch.save({"model_state": {"x": torch.ones(3)}}, source)
    publish(monkeypatch, source.as_uri())
    assert torch.equal(load_checkpoint(NAME)["model_state"]["x"], torch.ones(3))
    printed = capsys.readouterr().err
    assert "licence: Apache-2.0" in printed
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
        f"download http://weights.invalid/model.pkl elsewhere and put it at {cache}/pyslowfast/model.pkl"
        in message
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


def test_every_name_in_the_configs_is_in_the_zoo() -> None:
    named = [load_config(path).weights for path in sorted((ROOT / "configs").rglob("*.yaml"))]
    assert {name for name in named if name} <= set(zoo.ZOO)
    assert all(zoo.ZOO[name].url for name in named if name)
