"""Jobs that processes share and later runs go on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.files import shared_jobs
from ava_det.files.job_settings import ChangedSetting, begin_job
from ava_det.files.shared_jobs import share_out


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


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_every_item_that_is_not_done_is_one_process_s(
    num_ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_jobs, "world_size", lambda: num_ranks)
    shares = []
    for rank in range(num_ranks):
        monkeypatch.setattr(shared_jobs, "rank", lambda rank=rank: rank)
        share, num_pending = share_out(range(10), is_done=lambda item: item in (2, 5), size=int)
        assert num_pending == 8
        assert share == sorted(share, reverse=True)
        shares.append(share)
    assert sorted(item for share in shares for item in share) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [share[0] for share in shares] == list(range(9, 9 - num_ranks, -1))
