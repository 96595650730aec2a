"""Measures what the README and the docs claim, and prints ratios that hold on another machine too.

python -m benchmarks evaluate [--videos 64]     (1.5 M result rows; 64 videos are AVA-val scale)
python -m benchmarks evaluate --detections CSV --annotations CSV --label-map PBTXT
python -m benchmarks decode [--video FILE] [--json FILE]         (how clips are read from video)
python -m benchmarks model [--config F] [--batch 1 4 8] [--runtimes onnx openvino]
                           [--growth PNG] [--json F]
python -m benchmarks train [--config F] [--batch 2] [--json F]               (one training step)
python -m benchmarks contention [--busy 0 1 2]    (a training step beside busy processes)
python -m benchmarks vit [--config F] [--openvino | --memory]       (a ViT beside its eager form)
python -m benchmarks demo [--weights F] [--video FILE] [--json F]     (the demo, stage by stage)
python -m benchmarks detector [--batch 1 8] [--json F]    (frames a second of the own detector)
python -m benchmarks precision [--json F]                (what precision auto is here, and why)
python -m benchmarks flow [--config F] [--every S] [--json F]     (optical flow, a keyframe)
python -m benchmarks labels [--boxes 10000]       (the import of annotation tools' files)
python -m benchmarks tubes [--videos 1000]      (mAP of tubes, against plain loops and a floor)
python -m benchmarks archive [--videos 1000000]  (what a driver of a huge archive costs, simulated)
python -m benchmarks archive-rates [--videos 8] [--config F]   (hours of video an hour; the driver)
python -m benchmarks gpu [--quick]             (a GPU within nine minutes, a page, the goals)
python -m benchmarks all [--quick] [--config F] [--json F]   (each of these, into one report)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ava_det.cli import ToolParser, reports_mistakes
from benchmarks.archive import add_archive
from benchmarks.archive_rates import add_archive_rates
from benchmarks.contention import add_contention, measure_steps
from benchmarks.decode import add_decode
from benchmarks.demo import add_demo
from benchmarks.detector import add_detector
from benchmarks.evaluate import add_evaluate, measure_evaluator, measure_pandas
from benchmarks.flow import add_flow
from benchmarks.gpu import add_gpu
from benchmarks.labels import add_labels
from benchmarks.model import add_model
from benchmarks.precision import add_precision
from benchmarks.report import add_all
from benchmarks.train import add_train
from benchmarks.tubes import add_tubes, measure_tubes
from benchmarks.vit import add_vit


@reports_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m benchmarks` and returns its exit code."""
    parser = ToolParser("python -m benchmarks", __doc__)
    commands = parser.add_subparsers(title="what to measure", required=True, metavar="WHAT")
    add_evaluate(commands)
    add_decode(commands)
    add_demo(commands)
    add_detector(commands)
    add_precision(commands)
    add_flow(commands)
    add_model(commands)
    add_train(commands)
    add_contention(commands)
    add_tubes(commands)
    add_labels(commands)
    add_vit(commands)
    add_archive(commands)
    add_archive_rates(commands)
    add_gpu(commands)
    add_all(commands)
    args = parser.parse_args(argv)
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:  # child processes
        measures: dict[str, Callable[..., None]] = {
            "pandas": measure_pandas,
            "evaluator": measure_evaluator,
            "steps": measure_steps,
            "tubes": measure_tubes,
        }
        measures[sys.argv[2]](*sys.argv[3:])
    else:
        sys.exit(main())
