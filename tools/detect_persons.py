"""Finds the persons in videos and writes their boxes: the box file that training, testing and the
demo read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.detect import main

if __name__ == "__main__":
    sys.exit(main())
