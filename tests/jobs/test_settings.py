"""Settings of a job stand beside its results."""

from __future__ import annotations

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
