"""model_info, convert_weights and plot_tradeoff, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ava_det.checkpoint import load_checkpoint, load_weights, save_checkpoint
from ava_det.commands import convert as convert_weights
from ava_det.commands import info as model_info
from ava_det.config import load_config
from ava_det.models.build import build_model
from studies import plot_tradeoff
from tests.support.foreign_names import to_mmaction2, without_counters

SMALL = "configs/synthetic/slowfast.yaml"


@pytest.mark.parametrize(
    ("config", "rows"),
    [
        (
            "vit_b",
            [
                "patch_embed 1 convolutions: 2x16^2, 768 768 x 8 x 16 x 16 1.180 2.416",
                "blocks 12 blocks of attention with 12 heads, and MLP 8 x 16 x 16 tokens of 768",
                "norm LayerNorm, 768 8 x 16 x 16 tokens of 768",
            ],
        ),
        (
            "mvit_v2_s",
            [
                "pos_encoding pool, dropout, linear 32769 tokens of 96",
                "blocks 16 blocks of attention with 1-2-4-8 heads, and MLP 8 x 8 x 8 tokens of 768",
            ],
        ),
        ("swin3d_t", ["patch_embed 1 convolutions: 2x4^2, 96 8 x 64 x 64 tokens of 96"]),
    ],
)
def test_model_info_counts_tokens(
    config: str, rows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert model_info.main(["--config", f"configs/ava/{config}.yaml"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for row in rows:
        assert row in printed, printed


def test_model_info_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert model_info.main(["--config", "configs/ava/slowfast_r50_8x8.yaml", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["backbone_gmacs"] == pytest.approx(96.89, rel=0.005)
    assert info["gmacs"] == pytest.approx(info["backbone_gmacs"] + 80 * 2304 / 1e9)
    assert info["params_m"] == pytest.approx(33.828888)
    assert {"name", "output_shape", "channels", "params_m", "gmacs"} == set(info["per_stage"][0])
    assert info["per_stage"][-1]["name"] == "head"


def test_model_info_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        model_info.main(
            ["--config", "configs/kinetics/slowfast_r101_16x8_nl.yaml", "--size", "224"]
        )
        == 0
    )
    table = capsys.readouterr().out
    for text in (
        "T x tau = 16 x 8, alpha 4, beta 1/8",
        "[3(x6),1(x17)x1^2, 256",
        "non-local after 6,13,20",
        "60.080",
    ):
        assert text in table


def test_model_info_takes_overrides_and_refuses_tiny_clips(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert model_info.main(["--config", SMALL, "model.lateral=ttoc_sum", "--json"]) == 0
    assert model_info.main(["--config", SMALL, "--size", "8"]) == 2
    assert "--size: expected at least 32 pixels" in capsys.readouterr().err


def test_convert_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(SMALL)
    model = build_model(config)
    facts = {"label_map": {1: "stand"}, "thresholds": {1: 0.75}}
    save_checkpoint(tmp_path / "last.pt", {"model": model.state_dict(), **facts})
    target = tmp_path / "ours.safetensors"
    named = ["--weights", str(tmp_path / "last.pt"), "--output", str(target)]
    assert convert_weights.main([*named, "--config", SMALL]) == 0
    assert "entries loaded" in capsys.readouterr().out
    content = load_checkpoint(target)
    assert {name: content[name] for name in facts} == facts
    assert content["config"]["model"]["depth"] == 14
    copy = build_model(config)
    load_weights(copy, target)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, copy.state_dict()[name])


def test_convert_takes_two_file_names_as_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", {"model": build_model(load_config(SMALL)).state_dict()})
    target = tmp_path / "out.safetensors"
    assert convert_weights.main([str(tmp_path / "last.pt"), "--config", SMALL, str(target)]) == 0
    assert target.is_file()
    with pytest.raises(SystemExit):
        convert_weights.main([str(tmp_path / "last.pt"), "--config", SMALL])


def test_convert_takes_values_of_the_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["model.num_classes=5"]
    source = tmp_path / "last.pt"
    save_checkpoint(source, {"model": build_model(load_config(SMALL, overrides)).state_dict()})
    target = tmp_path / "out.safetensors"
    named = ["--weights", str(source), "--output", str(target), "--config", SMALL]
    assert convert_weights.main([*named, *overrides]) == 0
    assert load_checkpoint(target)["config"]["model"]["num_classes"] == 5
    capsys.readouterr()
    assert convert_weights.main([*named, "model.classes=5"]) == 2
    assert "unknown key model.classes; did you mean model.num_classes?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        convert_weights.main([*named, "stray"])
    assert "and key=value, found stray" in capsys.readouterr().err


def test_the_background_of_mmaction2_is_no_action_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its head has a row more than there are actions, whatever num_classes says."""
    torch.manual_seed(0)
    state = without_counters(build_model(load_config(SMALL, ["model.num_classes=5"])).state_dict())
    theirs = {to_mmaction2(name, two_pathways=True): value for name, value in state.items()}
    for name, value in theirs.items():
        if "fc_cls" in name:
            theirs[name] = torch.cat((torch.zeros_like(value[:1]), value + 1))
    torch.save({"meta": {}, "state_dict": theirs}, tmp_path / "mm.pth")
    target = tmp_path / "ours.safetensors"
    named = ["--weights", str(tmp_path / "mm.pth"), "--output", str(target), "--config", SMALL]
    assert convert_weights.main([*named, "model.num_classes=6"]) == 2
    error = capsys.readouterr().err
    assert "whose row 0 is the background: model.num_classes=5" in error
    assert not target.exists()
    assert convert_weights.main([*named, "model.num_classes=5"]) == 0
    head = load_checkpoint(target)["model"]["head.projection.weight"]
    assert torch.equal(head, state["head.projection.weight"] + 1)


def test_convert_weights_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": {"x": torch.ones(1)}}, tmp_path / "other.pt")
    target = tmp_path / "ours.safetensors"
    assert convert_weights.main([str(tmp_path / "other.pt"), str(target), "--config", SMALL]) == 2
    error = capsys.readouterr().err
    assert "does not fit the model" in error
    assert error.count("\n") == 1
    assert not target.exists()


def test_plot_tradeoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs the extra `report`")
    table = tmp_path / "literature.csv"
    table.write_text(
        ",".join(plot_tradeoff.COLUMNS)
        + "\nava_v2.1,ours,configs/synthetic/slowfast.yaml,,1,,19.0,18.5,a test"
        + "\nkinetics400,theirs,,108,,ImageNet,72.1,,a paper\n"
        "kinetics400,unknown cost,,,,,70.0,,a paper\n"
    )
    output = tmp_path / "pictures" / "tradeoff.png"
    assert plot_tradeoff.main(["--literature", str(table), "--output", str(output)]) == 0
    assert "2 of 3 systems have a cost" in capsys.readouterr().out
    assert output.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in output.parent.iterdir()] == ["tradeoff.png"]


def test_the_shipped_literature_is_sound() -> None:
    table = plot_tradeoff.load_literature(plot_tradeoff.LITERATURE)
    assert set(table.benchmark) == set(plot_tradeoff.TITLES)
    for path in set(table.config) - {""}:
        load_config(path)
    assert table.published.notna().all()
    # our own networks are counted, never copied
    assert table.gmacs[table.config != ""].isna().all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("imagenet,x,,1,,,70,,y", "line 2: benchmark is 'imagenet', expected one of"),
        ("kinetics400,x,,many,,,70,,y", "line 2: gmacs is 'many', expected a number"),
        ("kinetics400,x,,1,,,70,,", "line 2: x has no source"),
    ],
)
def test_a_wrong_literature_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    table = tmp_path / "literature.csv"
    table.write_text(",".join(plot_tradeoff.COLUMNS) + f"\n{row}\n")
    with pytest.raises(ValueError, match=message):
        plot_tradeoff.load_literature(table)
