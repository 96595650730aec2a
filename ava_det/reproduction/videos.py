"""Checks the movies a number is made from: present, whole, original, and cut at the usual times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_det.reproduction.published import NUM_PICTURES
from ava_det.video.folder import open_video
from ava_det.video.reader import EXTRACTED_FPS, VideoError

LAST_KEYFRAME = 1798.0  # of AVA's annotations
CLIP_REACH = 1.1  # seconds of a 64-tick clip after its keyframe
CUT_SECONDS = 901.0
CUT_TOLERANCE = 1.5  # seconds, of a cut's length: containers and last frames differ
# Short sides that preparation scripts scale to (of Kinetics, of training jitter, of ours); no movie
# of AVA's is known to have one by nature.
USUAL_RESCALED = (256, 320, 340)


@dataclass(frozen=True)
class VideoFacts:
    """Describes a movie by its header.

    Attributes:
        video_id: Of the annotations.
        file: Its file name.
        is_folder: Whether it is a folder of pictures.
        fps: Frames per second.
        width: In pixels.
        height: In pixels.
        start: Annotation time, in seconds, of the first frame.
        end: Annotation time, in seconds, at which the last frame ends.
        has_audio: Whether it has sound.
        is_prepared: Whether transcode.py made it.
    """

    video_id: str
    file: str
    is_folder: bool
    fps: float
    width: int
    height: int
    start: float
    end: float
    has_audio: bool
    is_prepared: bool

    @property
    def duration(self) -> float:
        """Returns the length in seconds."""
        return self.end - self.start


def inspect_video(video_id: str, path: Path, start_second: float) -> VideoFacts:
    """Reads the facts of one movie.

    Args:
        video_id: Of the annotations.
        path: The file or folder.
        start_second: Annotation time, in seconds, of the video's first frame.

    Raises:
        VideoError: The file cannot be read.
    """
    with open_video(path, start_second) as reader:
        return VideoFacts(
            video_id,
            path.name,
            path.is_dir(),
            reader.fps,
            reader.width,
            reader.height,
            start_second,
            reader.find_end(),
            reader.has_audio,
            reader.is_prepared,
        )


def inspect_videos(
    video_ids: Sequence[str], videos: Mapping[str, Path], start_second: float
) -> tuple[list[VideoFacts], list[str]]:
    """Reads the facts of several movies.

    Args:
        video_ids: Which movies.
        videos: Video id -> file or folder.
        start_second: Annotation time, in seconds, of each video's first frame.

    Returns:
        Facts of the movies that can be read, and a sentence about each that cannot.
    """
    facts = []
    broken = []
    for video_id in video_ids:
        try:
            facts.append(inspect_video(video_id, videos[video_id], start_second))
        except VideoError as error:
            broken.append(str(error))
    return facts, broken


def require_start_second(facts: Sequence[VideoFacts], grid_start_second: float) -> None:
    """Refuses a `start_second` that does not fit the movies.

    Args:
        facts: Of all movies.
        grid_start_second: Annotation time, in seconds, at which movies are usually cut.

    Raises:
        ValueError: All movies are cut ones that are read as whole ones, or the other way round.
    """
    if facts and all(video.start == 0 and video.end < grid_start_second + 2 for video in facts):
        example = facts[0]
        raise ValueError(
            f"{example.file}: ends after {example.duration:.0f} s, as movies cut at "
            f"{grid_start_second:g} s do: "
            f"add data.start_second={grid_start_second:g}"
        )
    if facts and all(video.start > 0 and video.duration > 2 * CUT_SECONDS for video in facts):
        example = facts[0]
        raise ValueError(
            f"{example.file}: {example.duration:.0f} s long, a whole movie read as if its first "
            "frame were second "
            f"{example.start:g}: add data.start_second=0"
        )


def find_video_problems(
    facts: Sequence[VideoFacts], last_keyframe: float = LAST_KEYFRAME
) -> list[str]:
    """Finds why these movies would give another number.

    Args:
        facts: Of all movies.
        last_keyframe: Annotation time, in seconds, of the last keyframe.

    Returns:
        One sentence for each kind of problem.
    """
    short = [v for v in facts if v.end < last_keyframe + CLIP_REACH]
    cuts = [
        v
        for v in facts
        if v.start > 0 and abs(v.duration - CUT_SECONDS) > CUT_TOLERANCE and v not in short
    ]
    wrong_cut = [v for v in short if v.start > 0] + cuts
    ends_early = [v for v in short if v.start == 0]
    prepared = [v for v in facts if v.is_prepared]
    rescaled = [v for v in facts if not v.is_prepared and min(v.width, v.height) in USUAL_RESCALED]
    odd_rate = [v for v in facts if not v.is_prepared and not 22 < v.fps < 62]
    problems = []
    if wrong_cut:
        counts = Counter(round(video.duration * EXTRACTED_FPS) for video in wrong_cut)
        [(pictures, _)] = counts.most_common(1)
        known = ""
        if pictures == 26_174:
            known = " (a cut that another ffmpeg made; 25.2 instead of 28.2 was reported)"
        problems.append(
            f"wrong cut: {_name(wrong_cut)} hold about {pictures} pictures of 1/30 s, expected "
            f"about {NUM_PICTURES} "
            f"from 900 to 1801 s{known}"
        )
    if ends_early:
        problems.append(
            f"ends early: {_name(ends_early)} end before {last_keyframe + CLIP_REACH:.1f} s, at "
            f"{min(v.end for v in ends_early):.1f} s and later"
        )
    if prepared:
        problems.append(
            f"prepared videos: {_name(prepared)} were made by transcode.py, smaller and at another "
            "rate than published "
            "weights have seen; use the original movies"
        )
    if rescaled:
        problems.append(
            f"rescaled videos: {_name(rescaled)} have a short side of "
            f"{min(rescaled[0].width, rescaled[0].height)}, as "
            "preparation scripts make it; published weights saw frames of original size"
        )
    if odd_rate:
        rate = f"{odd_rate[0].fps:g} frames a second"
        problems.append(f"frame rate: {_name(odd_rate)} have {rate}, expected 23.976 to 60")
    return problems


def _name(videos: Sequence[VideoFacts]) -> str:
    first = ", ".join(video.video_id for video in videos[:3])
    return first if len(videos) <= 3 else f"{first} and {len(videos) - 3} more"
