"""Lets a person accept, reject or change the actions of segments; writes them as annotations.

The server and its page need starlette and uvicorn (`pip install ava_det[web]`); what was decided,
its journal and the rows of the CSV need neither.
"""

from ava_det.review.candidates import Candidate, find_candidates
from ava_det.review.decisions import REJECTED, Decisions, Step, parse_step
from ava_det.review.review import Review, StaleError

__all__ = [
    "REJECTED",
    "Candidate",
    "Decisions",
    "Review",
    "StaleError",
    "Step",
    "find_candidates",
    "parse_step",
]
