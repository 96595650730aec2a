"""Runs `ava-det prepare-ava-kinetics`: annotations of the clips of Kinetics that are there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from ava_det.commands.prepare_ava_kinetics import main

if __name__ == "__main__":
    sys.exit(main())
