"""Runs `ava-det prepare-ava`: fetches AVA, checks it and lays it out as configs/ava read it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from ava_det.commands.prepare_ava import main

if __name__ == "__main__":
    sys.exit(main())
