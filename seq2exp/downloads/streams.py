"""What a server sends of a file, whichever protocol it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

BLOCK = 1 << 18
"""Bytes that are read, and lost if the process is killed, at once."""


class Have(NamedTuple):
    """What is here of a file already."""

    size: int = 0
    version: str = ""
    """What the server calls the version that it is of; empty: unknown, so it is of no use."""
    total: int = 0
    """Size of that version, 0 if unknown."""


class Stream(NamedTuple):
    """The bytes of a file from ``start`` on."""

    start: int
    total: int
    """Size of the whole file, 0 if unknown."""
    version: str
    blocks: Iterator[bytes]
    close: Callable[[], object]
    """Ends the connection, whether all was read or not."""


class TransientError(Exception):
    """No, or not all of an answer: worth another try."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""


class RefusedError(Exception):
    """An answer that another try would not better; its text says what, and what to do."""
