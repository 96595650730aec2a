"""examples/quickstart.ipynb: its code, cell by cell, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ava_det.checkpoint import save_checkpoint
from ava_det.config import config_to_dict, load_config
from ava_det.formats.label_map import load_label_map
from ava_det.models.build import build_model

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples/quickstart.ipynb"

# Runs the cells as a notebook does: one namespace, and the last expression of each is shown.
RUNNER = """
import ast, json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1])):
    body = ast.parse(cell).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        show = getattr(value, "_repr_html_", None)
        print(show() if show else repr(value))
"""
# Where IPython is not installed
DISPLAY = """
class Video:
    def __init__(self, path, embed=False):
        self.data = open(path, "rb").read()
    def __repr__(self):
        return f"video of {len(self.data)} bytes"
"""


def read_cells() -> list[str]:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["language_info"]["name"]) == (4, "python")
    for cell in notebook["cells"]:
        assert cell["cell_type"] == "markdown" or not cell["outputs"]  # none are stored
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]


def replace_settings(cells: list[str], **settings: str) -> list[str]:
    """Gives the settings of the notebook other values."""
    for name, value in settings.items():
        found = [
            re.subn(rf"^{name} = .*$", f"{name} = {value!r}", cell, flags=re.M) for cell in cells
        ]
        assert sum(count for _, count in found) == 1
        cells = [cell for cell, _ in found]
    return cells


@pytest.fixture
def cells(synthetic_config: list[str], synthetic: Path, tmp_path: Path) -> list[str]:
    """The notebook's code, with a small network and a rendered video."""
    config = load_config(synthetic_config[1], [*synthetic_config[2:], "data.min_person_score=0.1"])
    torch.manual_seed(0)
    names = load_label_map(synthetic / "labelmap.pbtxt")
    state = {"model": build_model(config).state_dict(), "label_map": names}
    save_checkpoint(tmp_path / "w.pt", {**state, "config": config_to_dict(config)})
    video = next((synthetic / "videos").glob("demo_*.mp4"))
    return replace_settings(
        read_cells(), VIDEO=str(video), WEIGHTS=str(tmp_path / "w.pt"), DETECTOR="motion"
    )


@pytest.mark.slow
def test_the_code_runs(cells: list[str], tmp_path: Path) -> None:
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    (tmp_path / "IPython").mkdir()
    (tmp_path / "IPython/__init__.py").write_text("")
    (tmp_path / "IPython/display.py").write_text(DISPLAY)
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, "cells.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "8 keyframes" in done.stdout and "data:image/png;base64," in done.stdout
    assert "person_score" in done.stdout
    assert re.search(r"^#1 .+: \d\.\d to \d\.\d s$", done.stdout, re.MULTILINE)
    assert re.search(r"video of \d{5,} bytes", done.stdout)
    assert (tmp_path / "view.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_notebook_runs_in_jupyter(
    cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the kernel
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    for cell, text in zip(code, cells, strict=True):
        cell.source = text
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [
        output["data"]["text/html"] for output in shown if "text/html" in output.get("data", {})
    ]
    assert len(pages) == 3  # the result shows itself, so do the table and the video
    assert "data:image/png;base64," in pages[0] and "mean score" in pages[0]
    assert "person_score" in pages[1] and "<video" in pages[2]
    said = "".join(output["text"] for output in shown if output.get("name") == "stdout")
    assert re.search(r"^#1 .+: \d\.\d to \d\.\d s$", said, re.MULTILINE)
    assert (tmp_path / "view.html").stat().st_size > 10_000
