"""Trains the built-in person detector on the person boxes of a dataset, and says how good it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.train_detector import main

if __name__ == "__main__":
    sys.exit(main())
