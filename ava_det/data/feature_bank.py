"""Keeps the features of a video's persons by time, and cuts out what is around a keyframe."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ava_det.structures import Keyframe

_TOLERANCE = 1e-6  # seconds, of timestamps in float arithmetic


class FeatureBank:
    """Holds features of persons, video by video (Wu et al., CVPR 2019, section 3.1).

    A window has `persons_per_second` places for each of its seconds. Where a second has more
    persons, those with the highest person scores take the places, the first of equal ones: the
    same window each time, where MMAction2 draws. Places without a person hold zeros.

    Args:
        window_seconds: Of a window, half of them before the keyframe.
        persons_per_second: Places of each second.
        channels: Of a person's features.
    """

    def __init__(self, window_seconds: int, persons_per_second: int, channels: int) -> None:
        self.window_seconds = window_seconds
        self.persons_per_second = persons_per_second
        self.channels = channels
        self._videos: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def add_video(
        self, video_id: str, keyframes: Sequence[Keyframe], features: Sequence[Tensor]
    ) -> None:
        """Puts a video in the bank; one that is there already is replaced.

        Args:
            video_id: Of the video.
            keyframes: In any order, with the person scores of their boxes.
            features: Float32 [N, channels] of each keyframe, one row for each of its boxes.

        Raises:
            ValueError: The features have another width.
        """
        for rows in features:
            if rows.shape[1] != self.channels:
                raise ValueError(
                    f"model.long_term.bank_channels: expected {rows.shape[1]}, the width of the "
                    f"features that model.long_term.bank_weights gives, received {self.channels}"
                )
        counts = torch.tensor([len(rows) for rows in features], dtype=torch.int64)
        times = torch.tensor([keyframe.timestamp for keyframe in keyframes], dtype=torch.float64)
        order = torch.argsort(times, stable=True).tolist()
        nobody = [torch.zeros(0, self.channels)]
        self._videos[video_id] = (
            times[order].repeat_interleave(counts[order]),
            torch.cat([*(keyframes[i].person_scores for i in order), torch.zeros(0)]),
            torch.cat([*(features[i] for i in order), *nobody]),
        )

    def cut_out(self, video_id: str, timestamp: float) -> Tensor:
        """Cuts out the window around a keyframe.

        Args:
            video_id: Of the video; one without features gives zeros.
            timestamp: Of the keyframe, annotation seconds.

        Returns:
            Float32 [window_seconds * persons_per_second, channels].
        """
        places = self.persons_per_second
        window = torch.zeros(self.window_seconds * places, self.channels)
        if video_id not in self._videos:
            return window
        times, scores, features = self._videos[video_id]
        begin = timestamp - self.window_seconds // 2
        edges = begin - _TOLERANCE + torch.arange(self.window_seconds + 1, dtype=torch.float64)
        bounds = torch.searchsorted(times, edges).tolist()
        for second in range(self.window_seconds):
            first = bounds[second]
            last = bounds[second + 1]
            if last == first:
                continue
            surest = torch.argsort(scores[first:last], descending=True, stable=True)[:places]
            start = second * places
            window[start : start + len(surest)] = features[first:last][surest]
        return window

    def cut_out_batch(self, keyframes: Sequence[Keyframe]) -> Tensor:
        """Cuts out the windows around several keyframes: float32 [B, L, channels]."""
        return torch.stack([self.cut_out(one.video_id, one.timestamp) for one in keyframes])
