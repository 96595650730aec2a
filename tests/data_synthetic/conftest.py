"""The dataset's scripts import one another from their own folder, as `python data/synthetic/prepare.py` does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data" / "synthetic"))
