"""Finds faults of a data set (annotations, videos, boxes) before training."""

from ava_det.dataset_check.examination import DatasetFiles, Examination, check_dataset
from ava_det.dataset_check.findings import ERROR, NOTE, WARNING, Finding
from ava_det.dataset_check.report import format_examination
from ava_det.dataset_check.sheet import choose_tiles
from ava_det.dataset_check.sheet_page import write_sheet_page
from ava_det.dataset_check.split_rows import SplitFiles

__all__ = [
    "ERROR",
    "NOTE",
    "WARNING",
    "DatasetFiles",
    "Examination",
    "Finding",
    "SplitFiles",
    "check_dataset",
    "choose_tiles",
    "format_examination",
    "write_sheet_page",
]
