"""Files over ftp, continued where they broke off."""

from __future__ import annotations

import ftplib
import socket
import urllib.parse
from collections.abc import Iterator

from seq2exp.downloads.rate import wait_for_turn
from seq2exp.downloads.streams import BLOCK, Have, RefusedError, Stream, TransientError

_ERRORS: tuple[type[Exception], ...] = (*ftplib.all_errors, ValueError)


def open_ftp(url: str, have: Have, timeout: float, per_second: float) -> Stream | None:
    """Ask for the bytes of a file after those that are here; None if there are none.

    What :func:`seq2exp.downloads.http.open_http` is for http. The version is the time of the last
    change; a server that tells none starts at 0. ``ftp_proxy`` is not honoured.
    """
    place = urllib.parse.urlsplit(url)
    path = urllib.parse.unquote(place.path).lstrip("/")
    user, password = (urllib.parse.unquote(word or "") for word in (place.username, place.password))
    server = ftplib.FTP(timeout=timeout)
    try:
        wait_for_turn(str(place.hostname), per_second)
        server.connect(str(place.hostname), place.port or 21)
        server.login(user, password)
        server.voidcmd("TYPE I")
        total, version = _size(server, path), _changed(server, path)
        start = have.size if version and (version, total) == (have.version, have.total) else 0
        if start and start == total:
            server.close()
            return None
        start, data = _retrieve(server, path, start)
    except _ERRORS as error:
        server.close()
        raise _failure(error) from None

    def close() -> None:
        data.close()
        server.close()

    return Stream(start, total, version, _body(server, data), close)


def _size(server: ftplib.FTP, path: str) -> int:
    try:
        return server.size(path) or 0
    except ftplib.error_perm:
        return 0


def _changed(server: ftplib.FTP, path: str) -> str:
    try:
        return server.sendcmd(f"MDTM {path}")
    except ftplib.error_perm:
        return ""


def _retrieve(server: ftplib.FTP, path: str, start: int) -> tuple[int, socket.socket]:
    """Open the data connection at ``start``, or at 0 where the server cannot."""
    try:
        return start, server.transfercmd(f"RETR {path}", rest=start or None)
    except ftplib.error_perm:
        return 0, server.transfercmd(f"RETR {path}")


def _body(server: ftplib.FTP, data: socket.socket) -> Iterator[bytes]:
    try:
        while block := data.recv(BLOCK):
            yield block
        data.close()  # some servers say that all was sent no earlier
        server.voidresp()
    except _ERRORS as error:
        raise _failure(error) from None


def _failure(error: Exception) -> Exception:
    """Sort the errors of ftplib: 5xx answers and impossible addresses are for good."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    if isinstance(error, ftplib.error_perm | ValueError):
        return RefusedError(f"answered {reason}; correct the address")
    if isinstance(error, TimeoutError):
        return TransientError("no answer in time")
    if isinstance(error, ftplib.Error):
        return TransientError(reason)
    return TransientError("no connection")
