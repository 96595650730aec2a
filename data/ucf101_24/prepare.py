"""Runs `ava-det prepare-tubes`: annotations of every frame as this data set's config reads them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from ava_det.commands.prepare_tubes import main

if __name__ == "__main__":
    sys.exit(main())
