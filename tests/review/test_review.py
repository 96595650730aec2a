"""A review on disk: whatever ends it, journal and CSV say what was decided."""

from __future__ import annotations

import errno
import itertools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_det.formats.annotations import (
    keyframes_from_annotations,
    load_annotations,
    write_annotations,
)
from ava_det.review import REJECTED, Candidate, Review, StaleError, Step
from ava_det.review import review as review_module
from ava_det.review.rows import RowMaker
from tests.support.review_cases import LABELS, find_in, read_journal, write_inputs


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> list[Candidate]:
    return find_in(write_inputs(tmp_path_factory.mktemp("inputs")) / "walk.jsonl")


@pytest.fixture(scope="module")
def three(candidates: list[Candidate]) -> list[Candidate]:
    """Person 1 walks on twelve keyframes; on the first three person 2 sits and hugs."""
    return candidates[:3]


def expected_csv(candidates: list[Candidate], action_ids: list[int | None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_annotations(path, RowMaker(candidates).make(action_ids))
        return path.read_bytes()


def take(review: Review, *steps: Step) -> None:
    for step in steps:
        review.take(step, version_of(review))


def version_of(review: Review) -> str:
    return review.version_of(review.decisions)


def decide(segment: int, action_id: int) -> Step:
    return Step("decide", segment, action_id)


@settings(max_examples=10)
@given(data=st.data())
def test_a_review_that_is_begun_again_is_the_same(
    three: list[Candidate], data: st.DataObject
) -> None:
    """After any steps, and with the journal cut off at any byte of the last one."""
    numbers = st.integers(0, len(three) - 1)
    decides = st.builds(decide, numbers, st.sampled_from([REJECTED, *LABELS]))
    steps = data.draw(
        st.lists(decides | st.sampled_from([Step("undo"), Step("redo")]), min_size=1, max_size=8)
    )
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)  # costs what the machine's disk costs
        output = Path(folder) / "reviewed.csv"
        journal = output.with_name("reviewed.csv.journal")
        review = Review(three, LABELS, output)

        def look() -> tuple[str, list[int | None], int]:
            return version_of(review), review.decisions.action_ids, journal.stat().st_size

        seen = [look()]
        for step in steps:
            if step.do == "decide" or getattr(review.decisions, f"can_{step.do}"):
                take(review, step)
                seen.append(look())
            assert output.read_bytes() == expected_csv(three, review.decisions.action_ids)
        again = Review(three, LABELS, output)
        assert (version_of(again), again.decisions.action_ids) == seen[-1][:2]
        assert again.decisions.can_undo == review.decisions.can_undo
        assert again.decisions.can_redo == review.decisions.can_redo
        if len(seen) > 1:
            cut = data.draw(st.integers(seen[-2][2], seen[-1][2] - 1))
            with open(journal, "r+b") as file:
                file.truncate(cut)
            # the CSV is written after the journal, so it is that of the step before
            output.write_bytes(expected_csv(three, seen[-2][1]))
            again = Review(three, LABELS, output)
            assert (version_of(again), again.decisions.action_ids) == seen[-2][:2]
            take(again, decide(0, 1))
            assert Review(three, LABELS, output).decisions.action_ids[0] == 1


def test_the_csv_is_written_again_where_it_lacks_the_last_step(
    three: list[Candidate], tmp_path: Path
) -> None:
    output = tmp_path / "reviewed.csv"
    review = Review(three, LABELS, output)
    assert output.read_bytes() == b""
    take(review, decide(0, 1), decide(1, REJECTED))
    before = output.read_bytes()
    take(review, decide(2, REJECTED))
    whole = output.read_bytes()
    assert whole != before
    output.write_bytes(before)
    Review(three, LABELS, output)
    assert output.read_bytes() == whole
    output.unlink()
    Review(three, LABELS, output)
    assert output.read_bytes() == whole


def test_a_keyframe_is_written_once_all_of_its_segments_are_decided(
    three: list[Candidate], tmp_path: Path
) -> None:
    """Or training would read what nobody has decided yet as not done."""
    output = tmp_path / "reviewed.csv"

    def read_moments() -> list[tuple[float, int | None]]:
        rows = load_annotations(output)
        assert rows.person_ids is not None
        return list(zip(rows.timestamps.tolist(), rows.person_ids, strict=True))

    later = [(900 + 0.5 * number, 1) for number in range(3, 12)]
    review = Review(three, LABELS, output)
    take(review, decide(1, 2), decide(2, 3))  # of person 2; person 1 is on all keyframes
    assert output.read_bytes() == b""
    take(review, Step("undo"), decide(0, 1))
    assert read_moments() == later
    take(review, decide(2, 3))
    first = [(900 + 0.5 * number, person) for number in range(3) for person in (1, 2, 2)]
    assert read_moments() == [*first, *later]


def test_the_csv_is_annotations_of_what_was_accepted(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    output = tmp_path / "reviewed.csv"
    review = Review(candidates[:1], LABELS, output)  # person 1 walks
    take(review, decide(0, 4))
    rows = load_annotations(output)
    assert rows.action_ids.tolist() == [4] * 12
    assert rows.timestamps.tolist() == [900 + 0.5 * i for i in range(12)]
    assert set(rows.person_ids) == {1}
    assert rows.boxes[0].tolist() == pytest.approx([0.05, 0.2, 0.25, 0.8])
    keyframes = keyframes_from_annotations(rows, 7)  # as training reads them
    assert [one.labels.nonzero()[:, 1].tolist() for one in keyframes] == [[3]] * 12
    take(review, decide(0, REJECTED))
    keyframes = keyframes_from_annotations(load_annotations(output), 7)
    assert [one.labels.sum(1).tolist() for one in keyframes] == [[0.0]] * 12
    take(review, Step("undo"), Step("undo"))
    assert output.read_bytes() == b""
    assert [one["do"] for one in read_journal(output)] == ["decide", "decide", "undo", "undo"]


def test_a_stale_version_changes_nothing(candidates: list[Candidate], tmp_path: Path) -> None:
    review = Review(candidates, LABELS, tmp_path / "reviewed.csv")
    version = version_of(review)
    review.take(decide(0, 1), version)
    before = (tmp_path / "reviewed.csv").read_bytes()
    with pytest.raises(StaleError):
        review.take(decide(0, REJECTED), version)
    other = Review(candidates, LABELS, tmp_path / "other.csv")
    with pytest.raises(StaleError):  # a page of another review, after as many steps
        review.take(decide(0, REJECTED), f"{version_of(other).partition('.')[0]}.1")
    assert review.decisions.action_ids[0] == 1
    assert (tmp_path / "reviewed.csv").read_bytes() == before
    assert len(read_journal(tmp_path / "reviewed.csv")) == 1


def test_a_second_process_on_the_same_file_is_told(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    output = tmp_path / "reviewed.csv"
    one, other = (Review(candidates, LABELS, output) for _ in range(2))
    take(one, decide(0, 1))
    with pytest.raises(ValueError, match="another ava-det review"):
        take(other, decide(0, REJECTED))
    take(one, decide(1, 1))
    assert Review(candidates, LABELS, output).decisions.action_ids[:2] == [1, 1]


@pytest.mark.parametrize("broken", ["write_annotations", "fsync"])
def test_a_full_disk_changes_nothing(
    candidates: list[Candidate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    output = tmp_path / "reviewed.csv"
    review = Review(candidates, LABELS, output)
    take(review, decide(0, 1), decide(1, 1), Step("undo"))
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if broken == "fsync":
            patch.setattr("ava_det.review.journal.os.fsync", refuse)
        else:
            patch.setattr(review_module, "write_annotations", refuse)
        version = version_of(review)
        with pytest.raises(OSError, match="No space left"):
            take(review, decide(2, REJECTED))
        assert version_of(review) == version
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before
    take(review, Step("redo"))  # it is still there
    assert review.decisions.action_ids[:3] == [1, 1, None]


def test_what_is_no_review_of_these_segments_is_refused(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    output = tmp_path / "reviewed.csv"
    journal = tmp_path / "reviewed.csv.journal"
    output.write_text("walk,0900,0.1,0.1,0.5,0.5,1,0\n")
    with pytest.raises(ValueError, match=r"--output: expected a free name.*reviewed.csv has none"):
        Review(candidates, LABELS, output)
    assert not journal.exists()
    output.unlink()
    take(Review(candidates, LABELS, output), decide(0, 1), decide(1, 2), decide(0, 7))
    with pytest.raises(ValueError, match="expected the detections and segment options"):
        Review(candidates[1:], LABELS, output)
    with pytest.raises(ValueError, match="journal, line 4: expected an action id of the label map"):
        Review(candidates, {1: "walk", 2: "sit", 3: "hug"}, output)
    written = output.read_text()
    output.write_text(written + "walk,0900,0.1,0.1,0.5,0.5,1,0\n")
    with pytest.raises(ValueError, match=r"reviewed.csv: expected what was decided in .*changed"):
        Review(candidates, LABELS, output)
    output.write_text(written)
    whole = journal.read_bytes()
    for content, message in (
        (b"", "expected a journal of ava-det review"),
        (b"walk,0900\n", "expected a journal of ava-det review"),
        (whole.replace(b'"decide"', b'"erase"'), "journal, line 2: expected do to be"),
        (whole + b"\xff\n", "journal, line 5: expected an object"),
        (whole + 4 * b'{"do": "undo"}\n', "journal, line 8: expected something to undo"),
    ):
        journal.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            Review(candidates, LABELS, output)
        assert journal.read_bytes() == content
    assert output.read_text() == written


def test_every_candidate_is_seen_from_its_start_to_its_end(candidates: list[Candidate]) -> None:
    for one in candidates:
        times = [timestamp - 900 for timestamp, _ in one.seen]
        assert (times[0], times[-1]) == (one.segment.start, one.segment.end)
        assert all(before < after for before, after in itertools.pairwise(times))
