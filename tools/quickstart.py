"""Runs `ava-det quickstart`: renders synthetic videos, trains, scores and draws an overlay."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.quickstart import main

if __name__ == "__main__":
    sys.exit(main())
