"""Answers Ctrl-C (SIGINT): a command ends with one sentence and exit code 130."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Job = TypeVar("Job")
Result = TypeVar("Result")
INTERRUPTED = 128 + signal.SIGINT  # the exit code of a program that Ctrl-C has ended
# Set for a command that another command started: the latter prints how Ctrl-C ended both.
SILENT = "AVA_DET_SILENT_INTERRUPT"


def report_interrupt(sentence: str = "stopped") -> int:
    """Prints how Ctrl-C ended this command, unless the command that started it does.

    Args:
        sentence: What was done and how to go on.

    Returns:
        The exit code to end with.
    """
    if SILENT not in os.environ:
        print(sentence, file=sys.stderr, flush=True)
    return INTERRUPTED


@contextmanager
def noticed_interrupts() -> Iterator[Event]:
    """Provides an event that Ctrl-C sets within the block, beside raising KeyboardInterrupt.

    Within an import that exception may become another one: torch and NumPy report it as a library
    that cannot be loaded. Where Ctrl-C has another answer already, such as none in a shell's
    background jobs, that stays.
    """
    came = Event()

    def interrupt(*_: object) -> NoReturn:
        came.set()
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield came
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        _set_blocked(False)
        yield came
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def withheld_interrupts() -> Iterator[None]:
    """Holds Ctrl-C back within the block, and for good from the processes started in it.

    Such a process would answer while Python itself starts, with a traceback. A command lets it
    through again at its start, see `noticed_interrupts`; a worker that runs no command is ended by
    the process that started it.
    """
    _set_blocked(True)
    try:
        yield
    finally:
        _set_blocked(False)


def run_in_workers(
    function: Callable[[Job], Result], jobs: Iterable[Job], count: int, doing: str, kept: str
) -> list[Result]:
    """Runs a function on many videos, in processes that leave Ctrl-C to this one, which ends them.

    They are fresh interpreters: forking a process that may hold OpenCV's or FFmpeg's threads can
    hang.

    Args:
        function: Of a module's top level.
        jobs: What it is called with, a video each.
        count: Number of processes.
        doing: What is done, for the progress bar.
        kept: What of the finished work stays, and how to go on; ends the sentence of the error.

    Returns:
        What the function returned, in the order of the jobs.

    Raises:
        ChildProcessError: One of the processes was killed; the others are ended.
    """
    import multiprocessing  # slow, and every command imports this module
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import resource_tracker

    from tqdm import tqdm

    resource_tracker.ensure_running()  # its start within the block would let Ctrl-C through
    others = multiprocessing.active_children()
    # where a worker is killed, multiprocessing.Pool starts another and waits for the lost video
    futures: list[Future[Result]] = []
    executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))
    try:
        with withheld_interrupts():  # the first job starts all processes
            for job in jobs:
                futures.append(executor.submit(function, job))
        bar = tqdm(as_completed(futures), total=len(futures), desc=doing, unit="video")
        for future in bar:
            future.result()
    except BrokenProcessPool:
        done = sum(future.done() and future.exception() is None for future in futures)
        raise ChildProcessError(
            f"{doing}: a process was killed, perhaps because memory ran out; {done} of "
            f"{len(futures)} videos were done; {kept}"
        ) from None
    finally:
        if not all(future.done() for future in futures):
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.terminate()
        executor.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _set_blocked(is_blocked: bool) -> None:
    """Holds SIGINT back for this thread and its children, or lets it through."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        how = signal.SIG_BLOCK if is_blocked else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, {signal.SIGINT})
