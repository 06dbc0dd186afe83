"""Is a file the one that is meant: its kind, its size, its checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from seq2exp.downloads.progress import progress
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of

_BLOCK = 1 << 22


class Check(NamedTuple):
    """One thing that is known of a file beforehand."""

    what: Literal["bytes", "md5", "sha256"]
    value: int | str
    said_by: str
    remedy: str

    def compare(self, found: int | str, place: str) -> None:
        """Raise a `UserError` if the file is another."""
        if found != self.value:
            raise UserError(
                f"{place}: {self.what} is {found}, but {self.said_by} says {self.value}; "
                f"{self.remedy}"
            )


def check_file(
    path: Path, checks: Iterable[Check], place: str, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Check a file and return its checksums, by name of the algorithm.

    Parameters
    ----------
    path
        The file.
    checks
        What it must be; without a checksum among them, its SHA-256 is computed all the same.
    place
        Key and address, for messages.
    known
        Checksums that the file is known to have, which are not computed again.

    Raises
    ------
    UserError
        It is empty, an HTML page, or another file.
    """
    kind = kind_of(path)
    if kind in ("empty", "html"):
        found = "an empty file" if kind == "empty" else "an HTML page instead of the file"
        raise UserError(f"{place}: {found}; correct the address (is a login needed?)")
    digests = dict(known or {})
    wanted = [check for check in checks if check.what != "bytes"]
    for check in checks:
        if check.what == "bytes":
            check.compare(path.stat().st_size, place)
    absent = {check.what for check in wanted} - digests.keys()
    if absent or not digests:
        digests |= checksums(path, absent or {"sha256"})
    for check in wanted:
        check.compare(digests[check.what], place)
    return digests


def checksums(path: Path, algorithms: Collection[str]) -> dict[str, str]:
    """Compute checksums of a file, all in one reading."""
    hashes = [hashlib.new(name, usedforsecurity=False) for name in sorted(algorithms)]
    buffer = memoryview(bytearray(_BLOCK))
    with (
        open(path, "rb", buffering=0) as handle,
        progress(f"checking {path.name}", path.stat().st_size) as advance,
    ):
        while size := handle.readinto(buffer):
            for digest in hashes:
                digest.update(buffer[:size])
            advance(size)
    return {digest.name: digest.hexdigest() for digest in hashes}
