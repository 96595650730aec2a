"""Fuses the results of several networks into one: weighted means of scores on the same boxes.

members.py says which files can be fused, alignment.py finds the boxes that are of one person,
fusion.py computes the means, pooling.py finds what stays of pooled boxes, fit.py searches the
weights, and report.py shows what was gained.
"""

from ava_det.ensembles.alignment import Alignment, align_members
from ava_det.ensembles.fit import Fit, fit_weights
from ava_det.ensembles.fusion import check_weights, fuse_aligned, fuse_rows
from ava_det.ensembles.members import check_members, describe_members
from ava_det.ensembles.report import ScoredMember, find_best, write_ensemble_report

__all__ = [
    "Alignment",
    "Fit",
    "ScoredMember",
    "align_members",
    "check_members",
    "check_weights",
    "describe_members",
    "find_best",
    "fit_weights",
    "fuse_aligned",
    "fuse_rows",
    "write_ensemble_report",
]
