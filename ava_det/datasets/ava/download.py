"""Downloads files over HTTP: several at a time, resumed after a broken connection.

A file is written to `.NAME.XXXXXXXX.part` in its folder, where XXXXXXXX stands for the server's
version of it (its ETag), and is renamed when it is as long as the server says. This uses the
standard library, because HTTP libraries do not bring what matters here: resuming, deciding which
errors are tried again, and one sentence when there is no network.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from ava_det.datasets.ava.official_files import DownloadError, NoNetworkError, check_blob

FIRST_WAITS = (1, 2)  # seconds before another try, as long as the network may be down altogether
WAITS = (1, 2, 4, 8, 15, 30, 60)  # the same for a download that has begun; progress restarts them
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 18  # bytes
RESERVE = 1 << 28  # bytes of the disk that stay free

T = TypeVar("T")


class _UnreachableError(ConnectionError):
    """Reports that no connection was made.

    Any other ConnectionError is a connection that broke, or an overloaded server.
    """


class _StoppedError(Exception):
    """Ends the download of a file because of another file's failure, or Ctrl-C."""


@dataclass(frozen=True)
class Remote:
    """Describes a file on a server.

    Attributes:
        size: In bytes.
        tag: Changes with the content (the ETag); empty where the server gives none.
    """

    size: int
    tag: str


@dataclass(frozen=True)
class Item:
    """Describes a file to fetch.

    Attributes:
        url: Its address.
        target: The path to write.
        blob: Its git blob id, None where it is not known.
    """

    url: str
    target: Path
    blob: str | None = None


def probe(url: str) -> Remote:
    """Asks a server for the length of a file without fetching it.

    Raises:
        DownloadError: The file cannot be fetched, or the server does not state its length.
        NoNetworkError: The server cannot be reached.
    """

    def ask() -> Remote:
        with _open(url, method="HEAD") as response:
            size = response.headers.get("Content-Length", "")
            if not size.isdecimal():
                raise DownloadError(f"{url}: the server does not say how long the file is")
            return Remote(int(size), response.headers.get("ETag", ""))

    return _persist(url, ask, FIRST_WAITS)


def probe_all(urls: Iterable[str], num_jobs: int) -> dict[str, Remote | DownloadError]:
    """Probes many files in parallel.

    Returns:
        By address what the server says, or the error of this file.

    Raises:
        NoNetworkError: The server of a file cannot be reached.
    """

    def ask(url: str) -> Remote | DownloadError:
        try:
            return probe(url)
        except NoNetworkError:
            raise
        except DownloadError as error:
            return error

    urls = list(dict.fromkeys(urls))
    pool = ThreadPoolExecutor(num_jobs)
    try:
        return dict(zip(urls, pool.map(ask, urls), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def fetch_text(url: str) -> str:
    """Fetches a small text file without writing it to disk; raises as `probe`."""

    def read() -> str:
        with _open(url) as response:
            return response.read(1 << 20).decode("utf-8")

    return _persist(url, read, FIRST_WAITS)


def fetch_all(items: Sequence[Item], num_jobs: int) -> list[DownloadError]:
    """Fetches files in parallel with one progress bar.

    Whatever happens, the received bytes stay on disk, and the next call continues from there.

    Returns:
        The errors of single files.

    Raises:
        NoNetworkError: The server cannot be reached.
        OSError: The disk is full or cannot be written.
    """
    if not items:
        return []
    remotes = probe_all([item.url for item in items], num_jobs)
    failures = [remote for remote in remotes.values() if isinstance(remote, DownloadError)]
    known = [(item, remote) for item in items if isinstance(remote := remotes[item.url], Remote)]
    _check_space(known)
    stopped = threading.Event()
    total = sum(remote.size for _, remote in known)
    with (
        ThreadPoolExecutor(num_jobs) as pool,
        tqdm(
            total=total, unit="B", unit_scale=True, desc=f"0/{len(known)} files", disable=not known
        ) as bar,
    ):
        lock = threading.Lock()

        def report(num_bytes: int) -> None:
            with lock:
                bar.update(num_bytes)

        futures = [pool.submit(fetch_file, item, remote, report, stopped) for item, remote in known]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                try:
                    future.result()
                except NoNetworkError:
                    raise
                except DownloadError as error:
                    failures.append(error)
                bar.set_description(f"{number}/{len(known)} files")
        except BaseException:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return failures


def fetch_file(
    item: Item, remote: Remote, report: Callable[[int], object], stopped: threading.Event
) -> None:
    """Fetches one file.

    Args:
        item: The file.
        remote: What the server says of it.
        report: Called with each number of received bytes, also with those of an earlier try, and
            with negative numbers for bytes that must be fetched again.
        stopped: Ends the download when it is set.

    Raises:
        DownloadError: The file cannot be fetched, or is not the official one.
        OSError: The disk is full or cannot be written.
    """
    target = item.target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(target, remote)
    for stale in target.parent.glob(f".{target.name}.*.part"):
        if stale != part:
            stale.unlink()
    if part.exists():
        report(_size(part))

    def fetch_rest() -> None:
        if _size(part) != remote.size:
            _append(item.url, remote, part, report, stopped)

    part.touch()
    try:
        _persist(item.url, fetch_rest, WAITS, lambda: _size(part))
    except OSError as error:
        error.filename = error.filename or str(target)  # the error of a full disk names no file
        raise
    try:
        check_blob(part, item.blob, item.url)
    except DownloadError:
        part.unlink()
        raise
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, target)


def part_path(target: Path, remote: Remote) -> Path:
    """Returns the path of an unfinished download.

    It depends on the server's version of the file, so that bytes of two versions never mix.
    """
    version = hashlib.sha256(f"{remote.size} {remote.tag}".encode()).hexdigest()[:8]
    return target.with_name(f".{target.name}.{version}.part")


def _append(
    url: str, remote: Remote, part: Path, report: Callable[[int], object], stopped: threading.Event
) -> None:
    """Fetches the missing bytes; starts again where the server does not send ranges."""
    have = _size(part)
    with _open(
        url, headers={"Range": f"bytes={have}-"} if 0 < have < remote.size else {}
    ) as response:
        if have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            report(-have)
            have = 0
        size = have + int(response.headers.get("Content-Length") or -1)
        if size != remote.size:
            part.unlink()
            raise DownloadError(
                f"{url}: the server announced {remote.size} bytes, then {size}; try again later"
            )
        with open(part, "r+b") as file:
            file.seek(have)
            file.truncate()
            while have < size:
                if stopped.is_set():
                    raise _StoppedError
                chunk = _read(response)
                file.write(chunk)
                have += len(chunk)
                report(len(chunk))


def _read(response: http.client.HTTPResponse) -> bytes:
    """Reads the next bytes; raises ConnectionError, which cannot be confused with a disk error."""
    try:
        # Whatever has arrived, so that little is lost when the connection breaks.
        chunk = response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(_reason(error)) from None
    if not chunk:
        raise ConnectionError("the connection was closed early")
    return chunk


def _open(
    url: str, method: str = "GET", headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    """Opens an address whose answer is 200 or 206.

    Raises:
        ConnectionError: An error that may go away.
        DownloadError: An error that stays.
    """
    request = urllib.request.Request(
        url, headers={"User-Agent": "ava_det", **(headers or {})}, method=method
    )
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answered {error.code} {error.reason}"
        if error.code in (408, 429) or error.code >= 500:
            raise ConnectionError(answer) from None
        raise DownloadError(f"{url}: {answer}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _UnreachableError(_reason(error)) from None


def _persist(
    url: str,
    attempt: Callable[[], T],
    waits: Sequence[float],
    progress: Callable[[], int] = lambda: 0,
) -> T:
    """Repeats an attempt after a ConnectionError, at most len(waits) times without progress."""
    failures = 0
    best = progress()
    while True:
        try:
            return attempt()
        except ConnectionError as error:
            failures = 0 if progress() > best else failures + 1
            best = max(best, progress())
            if failures > len(waits):
                kind = NoNetworkError if isinstance(error, _UnreachableError) else DownloadError
                raise kind(f"{url} cannot be fetched ({error})") from None
            time.sleep(waits[max(failures - 1, 0)])


def _check_space(items: Sequence[tuple[Item, Remote]]) -> None:
    """Raises DownloadError when the disk is too small for all files."""
    if not items:
        return
    folder = items[0][0].target.parent
    folder.mkdir(parents=True, exist_ok=True)
    parts = (part_path(item.target, remote) for item, remote in items)
    needed = (
        sum(remote.size for _, remote in items)
        - sum(_size(part) for part in parts if part.exists())
        + RESERVE
    )
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DownloadError(
            f"{folder}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        )


def _size(path: Path) -> int:
    return path.stat().st_size


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
