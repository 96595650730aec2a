"""Names that command line options and config keys choose from.

This file imports nothing, so that the parsers of all commands are built without the libraries
behind the names.
"""

DETECTORS = ("auto", "detectron2", "faster_rcnn", "motion", "torchvision")  # person detectors

# how optical flow is computed: docs/flow.md
FLOW_ALGORITHMS = ("dis", "farneback", "tvl1", "raft")

# the published evaluators of AVA mAP; ava_det/evaluation/protocols.py has their settings
PROTOCOL_NAMES = (
    "activitynet-2020",
    "activitynet-2019",
    "activitynet-2018",
    "pyslowfast",
    "mmaction2",
)

# the public evaluators of tubes; ava_det/evaluation/tubes/protocols.py has their settings
TUBE_PROTOCOL_NAMES = (
    "multisports",
    "mmaction2",
    "act",
    "retinanet3d",
    "yowo",
    "yowo-spatial",
)

# devices that decode videos, by FFmpeg's names: NVDEC, what Linux has for Intel and AMD, macOS
HARDWARE_DECODERS = ("cuda", "vaapi", "videotoolbox")

# runtimes a network is exported for, with the suffix of the file
EXPORT_FORMATS = {"onnx": ".onnx", "openvino": ".xml"}
EXPORT_PRECISIONS = ("auto", "fp32", "fp16", "int8")  # data types of the stored weights

# what the demo and the Predictor load where no weights are named; a name of MODEL_ZOO.md
DEFAULT_ACTION_WEIGHTS = "pyslowfast/SLOWFAST_32x2_R101_50_50"

# how boxes of single frames become tubes: docs/tube_linking.md
LINKING_METHODS = ("tracks", "act", "mmaction2", "yowo")
