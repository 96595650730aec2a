"""Watches a video for events, a file or a live source."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ava_det.demo.options import DisplayOptions
from ava_det.events.live_clip import LiveRecorder
from ava_det.events.rules import Rule, SaveClip, SavePicture
from ava_det.events.watch import EventWatch, TellEvent
from ava_det.inference.streaming import ShownFrame
from ava_det.structures import Detections
from ava_det.video.cut import cut_video
from ava_det.video.reader import FrameReader

SLACK_SECONDS = 2.0  # of frames that a live recorder holds beyond what the rules need


def watch_file(
    files: ExitStack, display: DisplayOptions, reader: FrameReader, stream: int | None
) -> EventWatch | None:
    """Opens the watch of a video that is whole, until `files` closes it; None without rules."""
    if display.events is None:
        return None

    def write_clip(target: Path, begin: float, end: float) -> None:
        cut_video(reader.path, target, begin, end, stream)

    rules, names, thresholds = display.events
    return files.enter_context(
        EventWatch(rules, names, thresholds, display.topk, reader.start_second, write_clip)
    )


class LiveEvents:
    """Watches a live source for events, until `files` closes it.

    Args:
        files: Closes it.
        display: Holds the rules.
        reader: A window of the source.
        live_seconds: By so much a keyframe may be older than the newest frame.
        tell: Is told each event.
    """

    def __init__(
        self,
        files: ExitStack,
        display: DisplayOptions,
        reader: FrameReader,
        live_seconds: float,
        tell: TellEvent | None = None,
    ) -> None:
        rules, names, thresholds = display.events or ((), {}, {})
        self._start_second = reader.start_second
        self._needs_frames = any(
            isinstance(deed, SaveClip | SavePicture) for rule in rules for deed in rule.do
        )
        keep = live_seconds + SLACK_SECONDS + max(map(_find_reach, rules), default=0.0)
        self._recorder = LiveRecorder(keep, reader.fps, reader.matrix)
        self.watch = files.enter_context(
            EventWatch(
                rules,
                names,
                thresholds,
                display.topk,
                reader.start_second,
                self._recorder.write_clip,
                is_live=True,
                tell=tell,
            )
        )
        files.callback(self._recorder.close)  # before the watch waits for its clips

    def add(self, frame: ShownFrame) -> None:
        """Takes a frame and the keyframes that were finished with it."""
        if self._needs_frames:
            self._recorder.add(frame.seconds - self._start_second, frame.picture.rgb(None))
        for keyframe in frame.keyframes:
            seconds = keyframe.keyframe.timestamp - self._start_second
            self.watch.add(keyframe, partial(self._recorder.find, seconds))


def _find_reach(rule: Rule) -> float:
    """Returns the seconds of frames that the clips of a rule need."""
    clips = [deed.before + deed.after for deed in rule.do if isinstance(deed, SaveClip)]
    return rule.duration + max(clips, default=0.0)


def count_events(watch: EventWatch | None) -> dict[str, int]:
    """Returns the number of events by rule, in the order of their first one."""
    return {} if watch is None else dict(watch.counts)


def add_keyframes(watch: EventWatch | None, frame: ShownFrame) -> None:
    """Gives the keyframes of a frame of a file to its watch."""
    keyframes: list[Detections] = frame.keyframes
    if watch is not None:
        for keyframe in keyframes:
            watch.add(keyframe, partial(frame.picture.rgb, None))
