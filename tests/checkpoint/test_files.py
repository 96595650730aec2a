"""Files that are whole, hostile, cut short or not weights at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import resource
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ava_det.checkpoint import (
    WeightsError,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_safetensors,
)


class Malicious:
    """Pickles into a call that would create a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle0", "pickle4"])
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path: Path, form: str) -> None:
    victim = tmp_path / "created"
    path = tmp_path / "evil.pth"
    content = {"model": {"x": torch.zeros(1)}, "blobs": Malicious(victim)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps({"blobs": Malicious(victim)}, int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match=r"mkdir.*nothing in it was run") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not victim.exists()


def test_the_logs_in_an_mmengine_checkpoint_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HistoryBuffer:
        pass

    HistoryBuffer.__module__ = "mmengine.logging.history_buffer"
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    with monkeypatch.context() as patch:
        for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        vars(sys.modules["mmengine.logging.history_buffer"])["HistoryBuffer"] = HistoryBuffer
        buffer = HistoryBuffer()
        vars(buffer)["history"] = np.arange(3.0)
        torch.save(
            {"message_hub": {"loss": buffer}, "state_dict": {"w": torch.ones(2)}},
            tmp_path / "mm.pth",
        )
    assert torch.equal(load_checkpoint(tmp_path / "mm.pth")["state_dict"]["w"], torch.ones(2))


@pytest.mark.parametrize("form", ["zip", "legacy", "caffe2", "safetensors"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, form: str, share: float) -> None:
    path = tmp_path / "weights.bin"
    tensors = {f"layer{index}": torch.randn(40, 40) for index in range(8)}
    if form == "caffe2":
        path.write_bytes(
            pickle.dumps({"blobs": {name: tensor.numpy() for name, tensor in tensors.items()}}, 2)
        )
    elif form == "safetensors":
        save_safetensors(path, tensors, {})
    else:
        torch.save({"model": tensors}, path, _use_new_zipfile_serialization=form == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(
        WeightsError, match=r"weights\.bin: the file is truncated or damaged"
    ) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n" + bytes(64), b"\x00" * 100]
)
def test_a_foreign_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"weights\.pth: (not a weights file|the file is truncated)"
    ):
        load_checkpoint(path)


def test_a_dictionary_without_tensors_is_named(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(WeightsError, match="no weights inside"):
        load_weights(nn.Linear(1, 1), tmp_path / "empty.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="expected a dictionary of weights, found list"):
        load_weights(nn.Linear(1, 1), tmp_path / "list.pt")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.pt"
    save_checkpoint(path, {"model": {"x": torch.ones(1)}})
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        save_checkpoint(path, {"model": {"x": torch.zeros(1)}, "bad": lambda: None})
    assert torch.equal(load_checkpoint(path)["model"]["x"], torch.ones(1))
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_safetensors_carry_the_label_map(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_safetensors(
        path, {"x": torch.ones(2, 3).t()}, {"config": {"seed": 1}, "label_map": {12: "stand"}}
    )
    content = load_checkpoint(path)
    assert content["label_map"] == {12: "stand"}
    assert content["config"] == {"seed": 1}
    assert torch.equal(content["model"]["x"], torch.ones(3, 2))


def test_a_full_disk_is_one_sentence_and_keeps_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"model": {"a": torch.ones(3)}})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a file may not grow: as if the disk were full
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(
            OSError, match=r"cannot be written \(File too large\); the file before it.*last\.pt"
        ):
            save_checkpoint(path, {"model": {"a": torch.ones(100_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert torch.equal(load_checkpoint(path)["model"]["a"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def zip_around(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (gzip.compress(b"weights", mtime=0), "compressed by gzip: unpack it"),
        (bz2.compress(b"weights"), "compressed by bzip2: unpack it"),
        (lzma.compress(b"weights"), "compressed by xz: unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(60), "compressed by 7z: unpack it"),
        (b"\n <!DOCTYPE html><html>sign in</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
    ],
)
def test_what_is_no_weights_file_is_named_with_what_to_do(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"w\.pth: not a weights file but {expected}"):
        load_checkpoint(tmp_path / "w.pth")


def test_an_archive_around_weights_is_named(tmp_path: Path) -> None:
    torch.save({"model": {"x": torch.ones(1)}}, tmp_path / "best.pth")
    zip_around(tmp_path / "w.zip", "run/best.pth", (tmp_path / "best.pth").read_bytes())
    expected = r"w\.zip: not a weights file but a zip archive around run/best\.pth: unpack it"
    with pytest.raises(WeightsError, match=expected):
        load_checkpoint(tmp_path / "w.zip")
    zip_around(tmp_path / "w.zip", "m/data.pkl", b"")
    with zipfile.ZipFile(tmp_path / "w.zip", "a") as archive:
        archive.writestr("m/code/net.py", b"")
    with pytest.raises(WeightsError, match="a program of TorchScript"):
        load_checkpoint(tmp_path / "w.zip")


def test_an_exported_network_says_how_it_runs(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    with pytest.raises(WeightsError, match="runs with --runtime onnx"):
        load_checkpoint(tmp_path / "model.onnx")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder, expected a weights file"):
        load_checkpoint(tmp_path)
