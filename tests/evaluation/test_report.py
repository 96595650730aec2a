"""The report is one whole page that shows what the result says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ava_det.evaluation import Evaluation, evaluate_rows
from ava_det.evaluation.report import Sources, write_report
from ava_det.evaluation.summary import compute_group_means
from ava_det.formats.annotations import load_annotations, load_detections

LABEL_MAP = {1: "bend <over>", 2: "stand & stare", 3: "talk"}
GROUPS = {1: "person movement", 2: "person movement", 3: "person interaction"}
SOURCES = Sources("gt.csv", "<det>.csv", "baseline.csv", "bound.csv")


def an_evaluation(folder: Path, seed: int, skill: float) -> Evaluation:
    random = np.random.default_rng(seed)
    truth = []
    found = []
    for second in range(902, 942):
        x, y = np.random.default_rng(second).uniform(0, 0.5, 2).round(3)
        box = f"{x},{y},{x + 0.3:.3f},{y + 0.4:.3f}"
        action = second % 3 + 1
        truth.append(f"v,{second:04d},{box},{action},0")
        found += [
            f"v,{second:04d},{box},{i},{random.uniform() + skill * (i == action):.6f}"
            for i in (1, 2, 3)
        ]
    (folder / "gt.csv").write_text("\n".join(truth) + "\n")
    (folder / "det.csv").write_text("\n".join(found) + "\n")
    evaluation = evaluate_rows(
        load_annotations(folder / "gt.csv"), load_detections(folder / "det.csv"), LABEL_MAP
    )
    means = compute_group_means(evaluation.result.per_class, GROUPS)
    return replace(evaluation, result=replace(evaluation.result, by_group=means))


class Page(HTMLParser):
    """What a browser would see: text, ids, and anything fetched from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.ids = []
        self.open = []
        self.outside = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and not str(value).startswith("#"):
                self.outside.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_the_result_and_needs_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    evaluation, baseline, bound = (
        an_evaluation(tmp_path, seed, skill) for seed, skill in ((0, 0.5), (1, 0.1), (2, 2.0))
    )
    path = write_report(
        tmp_path / "report", evaluation, GROUPS, SOURCES, baseline.result, bound.result
    )
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert page.outside == []
    assert len(page.ids) == len(set(page.ids))
    assert "<over>" not in html
    for text in (
        "bend <over>",
        "stand & stare",
        "<det>.csv",
        f"{evaluation.result.mean_ap:.4f}",
        "activitynet-2020",
    ):
        assert text in page.text
    for text in (
        "wrong box",
        "missed person",
        "Gains by class",
        "person interaction",
        "mAP with ground-truth boxes",
    ):
        assert text in page.text
    assert html.count("<svg") == html.count("</svg>") == 4
    gain = evaluation.result.mean_ap - baseline.result.mean_ap
    assert gain > 0
    assert f"mAP {evaluation.result.mean_ap:.4f} against {baseline.result.mean_ap:.4f}" in page.text
    assert [file.name for file in (tmp_path / "report").iterdir()] == ["index.html"]
    referenced = set(re.findall(r'href="#([^"]+)"', html)) | set(
        re.findall(r"url\(#([^)]+)\)", html)
    )
    assert referenced <= set(page.ids)


def test_an_undefined_result_has_a_page_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    evaluation = an_evaluation(tmp_path, 0, 0.5)
    rows = load_annotations(tmp_path / "gt.csv"), load_detections(tmp_path / "det.csv")
    evaluation = evaluate_rows(*rows, {9: "absent"})
    page = Page(
        write_report(tmp_path / "report", evaluation, {}, SOURCES).read_text(encoding="utf-8")
    )
    assert "undefined" in page.text
    assert "no ground-truth row has an action of the label map" in page.text


def test_without_matplotlib_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "ava_det.evaluation.figures", raising=False)
    monkeypatch.delattr("ava_det.evaluation.figures", raising=False)
    with pytest.raises(ValueError, match=r"a report needs matplotlib: pip install"):
        write_report(tmp_path / "report", an_evaluation(tmp_path, 0, 0.5), {}, SOURCES)
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_a_browser_renders_the_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    browser = (
        shutil.which("chromium")
        or shutil.which("google-chrome")
        or shutil.which("chromium-browser")
    )
    if browser is None:
        pytest.skip("needs Chromium")
    path = write_report(tmp_path / "report", an_evaluation(tmp_path, 0, 0.5), GROUPS, SOURCES)
    quiet = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking"
    )
    options = [
        *quiet.split(),
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path}/profile",
    ]
    command = [
        browser,
        *options,
        "--window-size=1100,2400",
        f"--screenshot={tmp_path}/page.png",
        path.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    cv2 = pytest.importorskip("cv2")
    image = cv2.imread(str(tmp_path / "page.png"))
    assert image.shape[:2] == (2400, 1100)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50
