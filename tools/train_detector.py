"""Runs `ava-det train-detector`: trains the person detector on the boxes of a dataset."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.train_detector import main

if __name__ == "__main__":
    sys.exit(main())
