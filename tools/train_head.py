"""Runs `ava-det train-head`: trains your own classes on a frozen network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.train_head import main

if __name__ == "__main__":
    sys.exit(main())
