"""Settings of a job stand beside its results."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ava_det.jobs.settings import ChangedSetting, begin_job


def test_a_later_run_is_refused_with_what_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "parts" / "settings.json"
    settings = {"every": 1.0, "size": (320, 240), "weights": None}
    assert begin_job(path, settings) == []
    before = path.read_bytes()
    assert begin_job(path, settings) == []
    assert begin_job(path, {**settings, "every": 0.5, "new": None}) == [
        ChangedSetting("every", 1.0, 0.5)
    ]
    assert begin_job(path, {"new": "None", "size": [320, 200]}, absent="None") == [
        ChangedSetting("size", [320, 240], [320, 200])
    ]
    assert path.read_bytes() == before


def test_of_several_at_once_one_alone_begins(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def begin(number: int) -> bool:
        together.wait()
        return not begin_job(tmp_path / "settings.json", {"number": number})

    with ThreadPoolExecutor(8) as pool:
        began = list(pool.map(begin, range(8)))
    assert sum(began) == 1
    assert not begin_job(tmp_path / "settings.json", {"number": began.index(True)})
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
