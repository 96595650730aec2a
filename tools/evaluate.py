"""Scores an AVA result CSV: frame mAP under a named protocol, per class, and what was not scored
and why.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.score import main

if __name__ == "__main__":
    sys.exit(main())
