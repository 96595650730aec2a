"""Runs `ava-det detect`: finds the persons in videos and writes a box file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.detect import main

if __name__ == "__main__":
    sys.exit(main())
