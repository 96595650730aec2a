"""Every recorded case under every protocol: what five published evaluators said, to 1e-12 or within
the ties.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from ava_det.evaluation import PROTOCOLS, evaluate_csv

ASSETS = Path(__file__).parent.parent / "assets" / "evaluator_cases"
TOLERANCE = 1e-12

# What an evaluator stumbles over although its meaning is plain: we read it and say so.
REPAIRED = {
    "31_blank_line_in_det": "a blank line was skipped",
    "47_labelmap_w_o_2_space_indent": "the label map is not laid out as AVA's own",
    "49_labelmap_name_with_quotes_escaped": "the label map is not laid out as AVA's own",
    "50_action_id_float_1_0": "action id 1.0 was read as 1",
    "54_bom_in_det": "a byte order mark before the first row was skipped",
}
# Where the number is theirs, but the input looks wrong.
WARNED = {
    "33_empty_det_file": "no rows",
    "35_nan_score_det": "not within 0..1",
    "37_inf_score_negative_scores": "not within 0..1",
    "53_score_11_logits": "not within 0..1",
    "56_pixel_boxes": "looks like pixels",
}


def load_cases() -> dict[str, dict[str, Any]]:
    cases = json.loads((ASSETS / "tiny.json").read_text(encoding="utf-8"))
    return {**cases, **json.loads(gzip.decompress((ASSETS / "random.json.gz").read_bytes()))}


CASES = load_cases()


def evaluate_case(
    case: dict[str, Any], folder: Path, protocol: str, device: str = "cpu"
) -> dict[str, Any]:
    for name, text in case["files"].items():
        (folder / name).write_bytes(text.encode())
    paths = (
        folder / "gt.csv",
        folder / "det.csv",
        folder / "labelmap.pbtxt",
        folder / "excluded.csv",
    )
    return evaluate_csv(*paths, protocol=protocol, device=device)


def equal(value: float | None, expected: float | None) -> bool:
    if value is None or expected is None:
        return value is expected
    return abs(value - expected) <= TOLERANCE


def check(case: dict[str, Any], protocol: str, result: dict[str, Any]) -> None:
    expected = case["expected"][protocol]
    per_class = result["per_class"]
    for action_id, count in expected.get("n_det", {}).items():
        assert per_class[action_id]["num_det"] == count
    for action_id, count in expected.get("num_gt", {}).items():
        assert per_class[action_id]["num_gt"] == count
    bounds = case.get("tie_bounds", {}).get(protocol)
    if bounds is None:
        assert equal(result["mAP"], expected["mAP"])
        for action_id, value in expected["ap"].items():
            assert equal(per_class[action_id]["AP"], value), action_id
        return
    low = bounds["lo"]
    high = bounds["hi"]
    assert equal(result["tie_interval"][0], low["mAP"])
    assert equal(result["tie_interval"][1], high["mAP"])
    assert low["mAP"] - TOLERANCE <= result["mAP"] <= high["mAP"] + TOLERANCE
    for action_id, value in low["ap"].items():
        average_precision = per_class[action_id]["AP"]
        if value is None:
            assert average_precision is None
        else:
            assert value - TOLERANCE <= average_precision <= high["ap"][action_id] + TOLERANCE


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_what_the_published_evaluator_gives(
    name: str, protocol: str, tmp_path: Path
) -> None:
    case = CASES[name]
    if name in REPAIRED:
        result = evaluate_case(case, tmp_path, protocol)
        assert result["mAP"] == 1.0
        assert any(REPAIRED[name] in sentence for sentence in result["warnings"])
    elif "error" in case["expected"][protocol]:
        with pytest.raises(ValueError, match=r"gt\.csv|det\.csv|excluded\.csv"):
            evaluate_case(case, tmp_path, protocol)
    else:
        result = evaluate_case(case, tmp_path, protocol)
        check(case, protocol, result)
        if name in WARNED:
            assert any(WARNED[name] in sentence for sentence in result["warnings"])


@pytest.mark.gpu
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("s")])
def test_cuda_gives_what_the_cpu_gives(name: str, protocol: str, tmp_path: Path) -> None:
    if "error" in CASES[name]["expected"][protocol]:
        pytest.skip("the protocol refuses this case")
    cpu, cuda = (
        evaluate_case(CASES[name], tmp_path, protocol, device) for device in ("cpu", "cuda")
    )
    assert equal(cuda["mAP"], cpu["mAP"])
    assert cuda["counts"] == cpu["counts"]
    for action_id, row in cpu["per_class"].items():
        assert equal(cuda["per_class"][action_id]["AP"], row["AP"])


@pytest.mark.needs_shared
def test_every_random_case_of_the_shared_data(shared_data: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("pack", ASSETS / "pack.py")
    assert spec is not None
    assert spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    folders = sorted((shared_data / "evaluator_cases").glob("s[0-9]*"))
    assert len(folders) == 15
    for folder in folders:
        case = pack.pack(folder)
        for protocol, expected in case["expected"].items():
            if "error" in expected:
                with pytest.raises(ValueError, match="expects"):
                    evaluate_case(case, tmp_path, protocol)
            else:
                check(case, protocol, evaluate_case(case, tmp_path, protocol))
