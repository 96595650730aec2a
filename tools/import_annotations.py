"""Runs `ava-det import`: turns annotations of your own into AVA's format, and back."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.import_annotations import main

if __name__ == "__main__":
    sys.exit(main())
