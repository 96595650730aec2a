"""Runs `ava-det demo`: shows on a video who does what."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
