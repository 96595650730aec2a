"""Runs `ava-det test`: scores trained weights on a split of a dataset."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.test import main

if __name__ == "__main__":
    sys.exit(main())
