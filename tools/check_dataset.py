"""Runs `ava-det check`: finds what is wrong with a config's annotations, videos and boxes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.check import main

if __name__ == "__main__":
    sys.exit(main())
