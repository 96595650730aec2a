"""From nothing to a trained detector, its mAP and an overlay, on synthetic videos: what `make
quickstart` runs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from ava_det.commands.quickstart import main

if __name__ == "__main__":
    sys.exit(main())
