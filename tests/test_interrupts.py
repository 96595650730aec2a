"""Ctrl-C ends every command with one sentence and exit code 130, whenever it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A command that Ctrl-C meets where its argument says: the signal is sent to the process itself, so
# that no test waits for a moment that may pass.
PROGRAM = """
import os, signal, sys
import ava_det.__main__ as program
from ava_det.cli import reports_mistakes

moment = sys.argv[1]

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if moment == "command" and name == "ava_det.commands.info":
            interrupt()
        if moment == "library" and name == "ava_det.operations.info":
            try:
                interrupt()
            except BaseException:
                raise ImportError("a library that takes every exception for its own") from None

sys.meta_path.insert(0, Finder())

@reports_mistakes
def main(words):
    interrupt()

if moment == "work":
    sys.exit(main([]))
sys.exit(program.main(["info", "--config", "configs/synthetic/slowfast.yaml"]))
"""
MOMENTS = ["command", "library", "work"]


def run(moment: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, moment],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_one_sentence_whenever_it_comes(moment: str) -> None:
    ended = run(moment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "stopped\n")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_command_that_another_speaks_for_says_nothing(moment: str) -> None:
    ended = run(moment, AVA_DET_SILENT_INTERRUPT="1")
    assert (ended.returncode, ended.stderr) == (130, "")


WORKERS = """
import os, signal
from ava_det.interrupts import run_in_workers

def list_numbers():
    for number in range(-3, 3):
        yield number
        if number == -3:
            os.killpg(0, signal.SIGINT)  # while they start, as a terminal sends it

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)
    print(run_in_workers(abs, list_numbers(), 2, "counting", ""))
"""


def test_workers_leave_it_to_the_process_that_started_them(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WORKERS)
    ended = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == "[3, 2, 1, 0, 1, 2]\n"


KILLED = """
import os, signal, time
from pathlib import Path
from ava_det.cli import reports_mistakes
from ava_det.interrupts import run_in_workers

def work(number):
    if number:  # 0 is done by then, and 2 to 9 are not begun or go on
        while not Path("done").exists():
            time.sleep(0.01)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if number > 1:
        time.sleep(600)
    Path("done").touch()
    return number

@reports_mistakes
def main(argv=None):
    run_in_workers(work, range(10), 2, "counting", "count again")

if __name__ == "__main__":
    raise SystemExit(main())
"""


def test_a_killed_worker_ends_all_with_a_sentence(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(KILLED)
    ended = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 2
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert lines == [
        "error: counting: a process was killed, perhaps because memory ran out; 1 of 10 videos "
        "were done; count again"
    ]
    assert "Traceback" not in ended.stderr
