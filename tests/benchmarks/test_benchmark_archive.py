"""The benchmark of archives drives every video of its manifest, and counts what it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.archive.outcomes import list_results
from ava_det.jobs.store import FolderStore
from benchmarks import archive as benchmark


def test_the_simulated_driver_asks_a_handful_of_files_a_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = benchmark.CountingStore(tmp_path)
    benchmark.write_manifest(store, 2000)
    store.calls.clear()
    benchmark.simulate(store, num_workers=50)
    assert "create 1.00, has 1.00, read 2.00, remove 2.00" in capsys.readouterr().out
    assert store.calls["create"] == 2000


def test_with_files_every_video_has_a_result(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    benchmark.write_manifest(store, 30)
    tally = benchmark.drive(store, benchmark.SimulatedWorkers(store, 7, writes=True))
    assert tally.num_done == len(list(list_results(store))) == 30
