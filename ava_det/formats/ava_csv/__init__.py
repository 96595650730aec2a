"""Reads AVA's CSV files, annotations, detections and person boxes, into columns and writes them.

No file has a header. A row is `video_id,timestamp,x1,y1,x2,y2,action_id,id_or_score`; boxes are
normalized xyxy. Column 8 is a person id in annotations and a score in detections and box files, so
each kind has its own `load_` function.

rows.py has the columns in memory, read.py the fast reader, row_by_row.py the slow one that repairs
and explains, foreign.py describes files of other kinds, and exclusions.py reads the lists of
keyframes to leave out.
"""

from ava_det.formats.ava_csv.exclusions import describe_stray_exclusions, load_excluded
from ava_det.formats.ava_csv.read import load_annotations, load_box_rows, load_detections
from ava_det.formats.ava_csv.rows import (
    EMPTY_ACTION,
    EMPTY_BOX,
    EMPTY_COLUMN_8,
    FRACTIONAL_TIMESTAMP,
    SEVEN_COLUMNS,
    TWO_COLUMNS,
    AvaRows,
)
from ava_det.formats.ava_csv.write import write_rows

__all__ = [
    "EMPTY_ACTION",
    "EMPTY_BOX",
    "EMPTY_COLUMN_8",
    "FRACTIONAL_TIMESTAMP",
    "SEVEN_COLUMNS",
    "TWO_COLUMNS",
    "AvaRows",
    "describe_stray_exclusions",
    "load_annotations",
    "load_box_rows",
    "load_detections",
    "load_excluded",
    "write_rows",
]
