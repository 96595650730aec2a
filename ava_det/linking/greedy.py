"""Links the boxes or tubelets of one class to tubes, frame by frame, as ACT does.

This is the online linking of Kalogeiton et al., "Action Tubelet Detector" (ICCV 2017, section 3.3),
with the numbers of its public code, which MOC-Detector, the baselines of MultiSports and MMAction2
share. A tubelet is the boxes of one person on K successive frames with one score; with K = 1 it is
a box. Every frame the tubes that are still open, those with the highest mean score first, each take
the best tubelet that overlaps their last one; tubelets that nobody takes start tubes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy as np

from ava_det.linking.tube import LinkedTube, compute_tubelet_iou

MIN_IOU = 0.5  # of the last tubelet and the next one
NMS_IOU = 0.6
NUM_KEPT = 10  # tubelets of a frame
MIN_FRAMES = 15
MIN_SCORE = 0.005


class GreedyLinker:
    """Links the tubelets of one class of one video.

    Args:
        length: K, the frames of a tubelet. A tube ends after K frames without one.
        min_frames: Shorter tubes are left out.
        pixel: Added to the width and height of boxes where tubelets are linked: 1 in ACT's code, 0
            in MultiSports' and MMAction2's. Their soft NMS adds 1 always.
        dtype: Of the arithmetic: float32 in ACT's code, float64 in MMAction2's.

    Raises:
        ValueError: `length` or `min_frames` is below 1.
    """

    def __init__(
        self,
        length: int = 1,
        min_frames: int = MIN_FRAMES,
        pixel: int = 1,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        if length < 1 or min_frames < 1:
            raise ValueError(
                "linking: expected tubelets and tubes of at least 1 frame, received "
                f"{length} and {min_frames}"
            )
        self._length = length
        self._min_frames = min_frames
        self._pixel = pixel
        self._dtype = dtype
        self._frame = 0
        self._open: list[_OpenTube] = []

    def add(self, tubelets: np.ndarray) -> list[LinkedTube]:
        """Links the tubelets of the next frame.

        Args:
            tubelets: [N, 4 K + 1], xyxy in pixels on this frame and on the K - 1 after it, then
                the score. N may be 0.

        Returns:
            The tubes that ended here.

        Raises:
            ValueError: The array has another shape, or numbers that are not finite.
        """
        self._frame += 1
        width = 4 * self._length + 1
        tubelets = np.asarray(tubelets, dtype=self._dtype)
        if tubelets.ndim != 2 or tubelets.shape[1] != width:
            raise ValueError(
                f"linking: expected tubelets [N, {width}] (boxes of {self._length} frames and a "
                f"score), received {list(tubelets.shape)}"
            )
        if not np.isfinite(tubelets).all():
            raise ValueError(f"linking: expected finite boxes and scores on frame {self._frame}")
        tubelets = suppress_softly(tubelets)
        order = np.argsort([-tube.score for tube in self._open], kind="stable")
        self._open = [self._open[index] for index in order]
        ended: list[LinkedTube] = []
        left: list[_OpenTube] = []
        for tube in self._open:
            offset = self._frame - tube.frames[-1]
            near = np.flatnonzero(self._compare(tubelets, tube.last, offset) >= MIN_IOU)
            if len(near):
                best = near[np.argmax(tubelets[near, -1])]
                tube.append(self._frame, tubelets[best])
                tubelets = np.delete(tubelets, best, axis=0)
            elif offset >= self._length:
                ended += self._close(tube)
                continue
            left.append(tube)
        self._open = left + [_OpenTube(self._frame, tubelet) for tubelet in tubelets]
        # the last to end comes first, as in the public code, whose lists are compared with these
        return ended[::-1]

    def finish(self) -> list[LinkedTube]:
        """Ends the video; returns the tubes that were still open."""
        ended = [closed for tube in self._open for closed in self._close(tube)]
        self._open = []
        return ended

    def _compare(self, tubelets: np.ndarray, last: np.ndarray, offset: int) -> np.ndarray:
        """Computes the mean IoU [N] of tubelets and a tube's last one on the frames they share.

        Without a shared frame the last box is compared with the first.
        """
        shared = max(self._length - offset, 1)
        late = min(offset, self._length - 1)
        first = tubelets[:, : 4 * shared].reshape(-1, shared, 4)
        return compute_tubelet_iou(
            first, last[4 * late : 4 * (late + shared)].reshape(1, shared, 4), self._pixel
        )

    def _close(self, tube: _OpenTube) -> list[LinkedTube]:
        """Makes the tube of its tubelets; none of one that is too short or scores too little."""
        score = tube.score
        first = tube.frames[0]
        count = tube.frames[-1] + self._length - first
        if score < MIN_SCORE or count < self._min_frames:
            return []
        tubelets = np.frombuffer(tube.tubelets, dtype=self._dtype)
        tubelets = tubelets.reshape(-1, 4 * self._length).astype(np.float64)
        scores = np.frombuffer(tube.scores, dtype=self._dtype).astype(np.float64)
        starts = np.frombuffer(tube.frames, dtype=np.int64) - first
        rows = np.zeros((count, 6))
        times = np.zeros(count)
        for step in range(self._length):
            places = starts + step
            rows[places, 1:5] += tubelets[:, 4 * step : 4 * step + 4]
            rows[places, 5] += scores
            times[places] += 1
        rows[:, 1:] /= times[:, None]
        rows[:, 0] = np.arange(first, first + count)
        return [LinkedTube(float(score), rows)]


class _OpenTube:
    """Holds the tubelets of a tube so far: frames where they begin, boxes and scores."""

    def __init__(self, frame: int, tubelet: np.ndarray) -> None:
        kind = tubelet.dtype.char
        self.frames = array("q")
        self.tubelets = array(kind)
        self.scores = array(kind)
        self.append(frame, tubelet)

    def append(self, frame: int, tubelet: np.ndarray) -> None:
        """Adds the tubelet [4 K + 1] that begins at `frame`."""
        self.frames.append(frame)
        self.tubelets.frombytes(tubelet[:-1].tobytes())
        self.scores.append(tubelet[-1])
        self.last = tubelet[:-1]
        # NumPy's own mean, rounded as in the public code: of equal scores it decides the order
        self.score = np.frombuffer(self.scores, dtype=tubelet.dtype).mean()


def suppress_softly(tubelets: np.ndarray) -> np.ndarray:
    """Lowers the scores of tubelets that overlap a better one; nothing is removed for that.

    A tubelet with a mean IoU above `NMS_IOU` with a better one that was not lowered itself gets its
    score times (1 - IoU). With K > 1 the public code subtracts the sum of the K IoUs, not their
    mean, and so does this one: such scores can be negative.

    Args:
        tubelets: [N, 4 K + 1], xyxy in pixels and the score.

    Returns:
        The `NUM_KEPT` best in falling order of the new score; of equal ones the later first.
    """
    length = (tubelets.shape[1] - 1) // 4
    boxes = tubelets[:, :-1].reshape(-1, length, 4)
    scores = tubelets[:, -1]
    weights = np.ones_like(scores)
    order = np.argsort(scores, kind="stable")[::-1]
    while len(order):
        overlaps = compute_tubelet_iou(boxes[order[1:]], boxes[order[:1]], 1) * length
        covered = overlaps > NMS_IOU * length
        weights[order[1:][covered]] = 1 - overlaps[covered]
        order = order[1:][~covered]
    lowered = np.concatenate([tubelets[:, :-1], (scores * weights)[:, None]], axis=1)
    return lowered[np.argsort(lowered[:, -1], kind="stable")[::-1][:NUM_KEPT]]


def link_greedily(
    frames: Iterable[np.ndarray], length: int = 1, min_frames: int = MIN_FRAMES
) -> Iterator[LinkedTube]:
    """Links the tubelets of one class of one video as ACT does, and yields each tube as it ends.

    Args:
        frames: For each frame of the video its tubelets, see `GreedyLinker.add`.
        length: K, the frames of a tubelet.
        min_frames: Shorter tubes are left out.

    Raises:
        ValueError: As in `GreedyLinker`.
    """
    linker = GreedyLinker(length, min_frames)
    for tubelets in frames:
        yield from linker.add(tubelets)
    yield from linker.finish()


def link_as_mmaction2(
    frames: Iterable[np.ndarray], last_score: float, min_frames: int = MIN_FRAMES
) -> Iterator[LinkedTube]:
    """Links the boxes of one class of one video as MMAction2's MultiSports metric does.

    This is ACT's linking with a slip: every box of every video gets the score of the last detection
    in the whole list, so that scores of tubes rank nothing but what the soft NMS lowered. Its
    published video mAPs come from this.

    Args:
        frames: For each frame of the video its boxes [N, 5]: xyxy in pixels and the score, which is
            not used.
        last_score: The score of the last detection of the list.
        min_frames: Shorter tubes are left out.
    """
    linker = GreedyLinker(1, min_frames, pixel=0, dtype=np.float64)
    for boxes in frames:
        tubelets = np.array(boxes, dtype=np.float64)
        tubelets[:, -1] = last_score
        yield from linker.add(tubelets)
    yield from linker.finish()
