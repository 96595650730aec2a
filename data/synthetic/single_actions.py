"""Runs `ava-det render-clips`: renders short clips with one action each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from ava_det.commands.render_clips import main

if __name__ == "__main__":
    sys.exit(main())
