"""Runs `ava-det info`: prints what a network looks like and costs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.info import main

if __name__ == "__main__":
    sys.exit(main())
