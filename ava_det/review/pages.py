"""Makes the pages of a review: one for each video, and their list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ava_det.formats.keyframe_records import KeyframeRecord
from ava_det.pages import render_page
from ava_det.review.decisions import Decisions
from ava_det.review.review import Review
from ava_det.video.folder import open_video
from ava_det.viewer import describe_video, make_content
from ava_det.viewer.content import describe_actions
from ava_det.viewer.page import pack

SCRIPTS = (
    "page_data.js",
    "detections.js",
    "boxes.js",
    "items.js",
    "events_list.js",
    "timeline.js",
    "theme.js",
    "player.js",
    "action_picker.js",
    "review_steps.js",
    "review.js",
)
NUM_QUICK = 9  # actions that have a digit


def address_of(video_id: str, number: int | None = None) -> str:
    """Returns the address of the page of a video, or of one of its segments, from 0."""
    place = "" if number is None else f"#segment={number + 1}"
    return f"/videos/{quote(video_id, safe='')}{place}"


class ReviewPages:
    """Makes the pages of the videos of a review, and says how far each is.

    Args:
        review: What is decided.
        records: Keyframes by video id.
        videos: Files by video id.

    Attributes:
        review: What is decided.
        videos: Files by video id.
        numbers: By video id, the numbers of its segments in the review.
    """

    def __init__(
        self,
        review: Review,
        records: Mapping[str, Sequence[KeyframeRecord]],
        videos: Mapping[str, Path],
    ) -> None:
        self.review = review
        self.videos = dict(videos)
        self._records = records
        counts = Counter(one.segment.video for one in review.candidates)
        self.numbers: dict[str, range] = {}
        first = 0
        for video_id in records:  # candidates come in the same order of videos
            self.numbers[video_id] = range(first, first + counts[video_id])
            first += counts[video_id]

    def describe_state(self, video_id: str) -> dict[str, Any]:
        """Says what was decided on the segments of a video, and how far the review is."""
        decisions = self.review.decisions  # of one moment: steps come from other threads
        done = self.count_decided(decisions)
        left = [name for name, numbers in self.numbers.items() if done[name] < len(numbers)]
        later = [name for name in left if self.numbers[name].start > self.numbers[video_id].start]
        following = next((name for name in [*later, *left] if name != video_id), None)
        return {
            "version": self.review.version_of(decisions),
            "video": video_id,
            "actionIds": [decisions.action_ids[number] for number in self.numbers[video_id]],
            "canUndo": decisions.can_undo,
            "canRedo": decisions.can_redo,
            "decided": sum(done.values()),
            "total": len(decisions.action_ids),
            "next": None if following is None else address_of(following),
        }

    def count_decided(self, decisions: Decisions) -> dict[str, int]:
        """Counts by video id the segments on which something was decided."""
        return {
            video_id: sum(decisions.action_ids[number] is not None for number in numbers)
            for video_id, numbers in self.numbers.items()
        }

    def make_list(self, title: str) -> str:
        """Makes the list of videos.

        Args:
            title: Of the page.
        """
        done = self.count_decided(self.review.decisions)
        videos = [
            (name, address_of(name), done[name], len(numbers))
            for name, numbers in self.numbers.items()
        ]
        return render_page("review_list.html", title=title, videos=videos)

    def make_page(self, video_id: str) -> str:
        """Makes the page of a video.

        Raises:
            VideoError: The video cannot be read.
        """
        records = self._records[video_id]
        video = self.videos[video_id]
        numbers = self.numbers[video_id]
        segments = [one.segment for one in self.review.candidates[numbers.start : numbers.stop]]
        start_second = records[0].timestamp - records[0].time
        with open_video(video, start_second) as reader:
            address = f"{address_of(video_id)}/file" if video.is_file() else None
            facts = describe_video(reader, address)
        content = make_content(records, segments, facts) | {
            "video": video_id,
            "first": numbers.start,
            "classes": describe_actions(self.review.label_map),
            "quick": self._choose_quick(),
        }
        data, data_type = pack(content)
        return render_page(
            "review.html",
            title=video_id,
            width=facts.width,
            height=facts.height,
            duration=facts.duration,
            several=len(self.videos) > 1,
            data=data,
            data_type=data_type,
            scripts=SCRIPTS,
        )

    def _choose_quick(self) -> list[int]:
        """Chooses the actions that have a digit: those of most segments, then by their ids."""
        counts = Counter(one.segment.action_id for one in self.review.candidates)
        return sorted(self.review.label_map, key=lambda i: (-counts[i], i))[:NUM_QUICK]
