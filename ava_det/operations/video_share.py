"""The share of one process of the videos that several processes work on, under one progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqdm import tqdm

from ava_det.distributed import is_main_process, merge_over_ranks


def work_through(
    videos: Sequence[str], description: str, work: Callable[[str, tqdm], None]
) -> dict[str, str]:
    """Does the work of each video; one that cannot be read is passed over.

    Args:
        videos: The ids of this process's share.
        description: What the progress bar is headed by.
        work: Called with each id and the bar, which counts videos and which it moves by about 1.

    Returns:
        Video id -> why it could not be read, of all processes.
    """
    failed: dict[str, str] = {}
    shown = (
        "{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} videos [{elapsed}, {remaining} "
        "left{postfix}]"
    )
    with tqdm(
        total=len(videos), desc=description, bar_format=shown, disable=not is_main_process()
    ) as bar:
        for count, video in enumerate(videos, 1):
            try:
                work(video, bar)
            except ValueError as error:
                failed[video] = " ".join(str(error).split())
            bar.update(count - bar.n)
    return merge_over_ranks(failed)
