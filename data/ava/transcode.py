"""Runs `ava-det transcode`: makes videos small and quick to read for training."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from ava_det.commands.transcode import main

if __name__ == "__main__":
    sys.exit(main())
