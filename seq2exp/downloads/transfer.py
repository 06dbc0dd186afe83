"""One address to one file on disk, however often the connection breaks."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from seq2exp.downloads.ftp import open_ftp
from seq2exp.downloads.http import REQUESTS_PER_SECOND, open_http, open_session
from seq2exp.downloads.progress import progress, shown_bytes
from seq2exp.downloads.streams import Have, RefusedError, Stream, TransientError
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of_bytes

log = logging.getLogger(__name__)

MARGIN = 100_000_000
"""Bytes of the disk that a download leaves free."""


@dataclass(frozen=True)
class Patience:
    """How long a download keeps trying."""

    retries: int = 10
    """Tries in a row that bring nothing new, after the first, before it gives up."""
    first_wait: float = 1.0
    """Seconds before the second try; doubled from try to try, less up to half of it at random."""
    longest_wait: float = 120.0
    longest_asked_wait: float = 3600.0
    """Seconds that a server may ask to wait (Retry-After) before that counts as a failure."""
    timeout: tuple[float, float] = (20.0, 120.0)
    """Seconds without a connection, and without a byte."""
    requests_per_second: float = REQUESTS_PER_SECOND

    def wait(self, failures: int, asked: float | None) -> float:
        """Seconds before the next try."""
        ceiling = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return max(asked or 0.0, ceiling * random.uniform(0.5, 1.0))


PATIENT = Patience()


def download(
    url: str,
    part: Path,
    *,
    name: str,
    check_size: Callable[[int], None] = lambda size: None,
    patience: Patience = PATIENT,
) -> None:
    """Write the whole file behind a URL to ``part``, after what is already there.

    What is there is continued if the server still has the same version of the file
    (``{part}.json`` says which it is of), and replaced if it has another.

    Parameters
    ----------
    url
        http, https or ftp.
    part
        File to write; it stays when the connection fails for good.
    name
        What is downloaded, for messages: a key of the config.
    check_size
        Called with the size of the file in bytes, where the server tells it, before any byte is
        fetched; what it raises ends the download.
    patience
        How long to keep trying.

    Raises
    ------
    UserError
        The file cannot be had: one line with the name, the address, the reason and the remedy.
    """
    most, failures = _size(part), 0
    try:
        while True:
            try:
                _try(url, part, name, check_size, patience)
                break
            except TransientError as trouble:
                failures = 1 if _size(part) > most else failures + 1
                most = max(most, _size(part))
                seconds = _wait(trouble, failures, patience)
                log.warning("%s: %s: %s; next try in %.0f s", name, url, trouble, seconds)
                time.sleep(seconds)
        if not _size(part):
            raise RefusedError("an empty file; correct the address (is a login needed?)")
    except RefusedError as refusal:
        raise UserError(f"{name}: {url}: {refusal}") from None
    finally:
        if not _size(part):
            discard(part)


def discard(part: Path) -> None:
    """Remove a part, so that the next download starts anew."""
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


def require_space(path: Path, size: int) -> None:
    """Refuse to begin what the disk of ``path`` cannot take.

    Raises
    ------
    RefusedError
        Fewer than ``size`` bytes and ``MARGIN`` are free.
    """
    free = shutil.disk_usage(path.parent).free
    if size + MARGIN > free:
        raise RefusedError(
            f"{path.parent} needs {shown_bytes(size + MARGIN)} more, {shown_bytes(free)} are free; "
            "make room, or set results to a folder on a larger disk"
        )


def _wait(trouble: TransientError, failures: int, patience: Patience) -> float:
    """Seconds until the next try, if there is to be one."""
    if failures > patience.retries:
        raise RefusedError(
            f"{trouble}, {failures} times in a row; check the address and the network and "
            "start again, it goes on where it stopped"
        )
    asked = trouble.retry_after
    if asked and asked > patience.longest_asked_wait:
        raise RefusedError(
            f"{trouble}, and the server asks to come back in {asked / 3600:.1f} h; start "
            "again then, it goes on where it stopped"
        )
    return patience.wait(failures, asked)


def _try(
    url: str, part: Path, name: str, check_size: Callable[[int], None], patience: Patience
) -> None:
    """Fetch over one connection what is missing."""
    have = _read_state(part, url)
    with open_session(patience.requests_per_second) as session:
        if url.startswith("ftp://"):
            stream = open_ftp(url, have, patience.timeout[1], patience.requests_per_second)
        else:
            stream = open_http(session, url, have, patience.timeout)
        if stream is None:
            return
        with closing(stream):
            if stream.total:
                check_size(stream.total)
            require_space(part, stream.total - stream.start)
            _receive(stream, url, part, name)


def _receive(stream: Stream, url: str, part: Path, name: str) -> None:
    """Write a stream behind the first ``stream.start`` bytes of ``part``."""
    try:
        _write(stream, url, part, name)
    except OSError as error:
        raise RefusedError(
            f"{part} cannot be written ({error.strerror}); make room or correct results, and "
            "start again, it goes on where it stopped"
        ) from None
    if stream.total and _size(part) != stream.total:
        raise TransientError(f"the connection ended at byte {_size(part)} of {stream.total}")


def _write(stream: Stream, url: str, part: Path, name: str) -> None:
    state = {"url": url, "version": stream.version, "total": stream.total}
    with open(part, "r+b" if stream.start else "wb") as out:
        if not stream.start:
            # Before the first byte, and not again: a kill here must not cost what is there.
            _state_file(part).write_text(json.dumps(state))
        out.truncate(stream.start)
        out.seek(stream.start)
        with progress(name, stream.total, stream.start) as advance:
            for block in stream.blocks:
                if not out.tell():
                    _require_data(block)
                out.write(block)
                advance(len(block))
        # Some network file systems tell no earlier that the disk is full.
        out.flush()
        os.fsync(out.fileno())


def _require_data(head: bytes) -> None:
    if kind_of_bytes(head[:512]) == "html":
        raise RefusedError(
            "an HTML page instead of the file; correct the address (is a login needed?)"
        )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _state_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path, url: str) -> Have:
    """Return what is here of the file; nothing where it is not known which version that is of."""
    try:
        state = json.loads(_state_file(part).read_text())
        if state["url"] == url and state["version"]:
            return Have(_size(part), str(state["version"]), int(state["total"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Have()
