"""Files and pages over http and https: paced by host, and continued where they broke off."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, ReadTimeoutError
from urllib3.util import Retry

from seq2exp import __version__
from seq2exp.downloads.rate import wait_for_turn
from seq2exp.downloads.streams import BLOCK, Have, RefusedError, Stream, TransientError

REQUESTS_PER_SECOND = 8.0
"""Of all processes to one host; ENCODE blocks addresses that send more than 10."""

_BUSY = (408, 429)
_LOGIN = (401, 403, 407)


class _Paced(HTTPAdapter):
    """Sends every request, those of redirections too, when it is its host's turn."""

    def __init__(self, per_second: float) -> None:
        super().__init__()
        self.per_second = per_second

    def send(self, request: requests.PreparedRequest, *args: Any, **kw: Any) -> requests.Response:
        host = urllib.parse.urlsplit(request.url or "").hostname or ""
        wait_for_turn(str(host), self.per_second)
        return super().send(request, *args, **kw)


def open_session(per_second: float = REQUESTS_PER_SECOND) -> requests.Session:
    """Return a session that sends at most ``per_second`` requests a second to one host.

    All processes of a user count together. ``http_proxy``, ``https_proxy``, ``no_proxy``,
    ``REQUESTS_CA_BUNDLE`` and ``~/.netrc`` are honoured, as by requests itself.
    """
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Paced(per_second))
    session.headers["User-Agent"] = f"seq2exp/{__version__}"
    return session


def open_http(
    session: requests.Session, url: str, have: Have, timeout: tuple[float, float]
) -> Stream | None:
    """Ask for the bytes of a file after those that are here; None if there are none.

    The server is asked to continue only the version of the file that ``have`` is of (``If-Range``);
    the stream starts at 0 where it cannot, or has another version.

    Raises
    ------
    TransientError
        No connection, no answer in time, or an answer that says "later" (408, 429, 5xx).
    RefusedError
        Any other answer that is not the file.
    """
    # A .gz that is marked as a compressed transfer must not be asked for, or stored, decompressed.
    headers = {"Accept-Encoding": "identity"}
    if have.size and have.version:
        headers |= {"Range": f"bytes={have.size}-", "If-Range": have.version}
    reply = _get(session, url, headers, timeout)
    if reply.status_code == 416 and "Range" in headers:
        complete = reply.headers.get("Content-Range") == f"bytes */{have.size}"
        reply.close()
        return None if complete else open_http(session, url, Have(), timeout)
    if not reply.ok:
        reply.close()
        raise _failure(reply)
    version = _version(reply)
    start = 0
    if reply.status_code == 206 and "Range" in headers:
        first, total = _content_range(reply)
        if (
            first != have.size
            or total not in (0, have.total or total)
            or version not in ("", have.version)
        ):
            # Another piece than the one asked for, or of another version.
            reply.close()
            return open_http(session, url, Have(), timeout)
        start, version = first, have.version
    elif reply.status_code != 200:
        reply.close()
        raise RefusedError(f"answered {reply.status_code} {reply.reason}; correct the address")
    length = reply.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else 0
    return Stream(start, total, version, _body(reply), reply.close)


def size_of(session: requests.Session, url: str, timeout: tuple[float, float]) -> int | None:
    """Ask for the size of a file in bytes; None where the server does not say or answer."""
    try:
        reply = session.head(
            url, headers={"Accept-Encoding": "identity"}, timeout=timeout, allow_redirects=True
        )
    except requests.RequestException:
        return None
    length = reply.headers.get("Content-Length", "")
    return int(length) if reply.ok and length.isdigit() else None


def _get(
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> requests.Response:
    try:
        return session.get(url, headers=headers, stream=True, timeout=timeout)
    except requests.exceptions.SSLError:
        raise RefusedError(
            "no trusted certificate; where a proxy of your site replaces certificates, set "
            "REQUESTS_CA_BUNDLE to its file"
        ) from None
    except requests.exceptions.ProxyError:
        raise TransientError("no connection to the proxy (http_proxy, https_proxy)") from None
    except requests.Timeout:
        raise TransientError("no answer in time") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise TransientError("no connection") from None
    except (requests.RequestException, UnicodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise RefusedError(f"cannot be asked for ({reason}); correct the address") from None


def _failure(reply: requests.Response) -> Exception:
    status = f"{reply.status_code} {reply.reason}"
    if reply.status_code in _BUSY or reply.status_code >= 500:
        return TransientError(status, _retry_after(reply))
    if reply.status_code in _LOGIN:
        return RefusedError(
            f"answered {status}; where the file needs a login, put it into ~/.netrc, or fetch the "
            "file by hand"
        )
    return RefusedError(f"answered {status}; correct the address")


def _retry_after(reply: requests.Response) -> float | None:
    value = reply.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def _version(reply: requests.Response) -> str:
    """Return what If-Range takes; weak tags are not for byte ranges (RFC 9110, 13.1.5)."""
    version = reply.headers.get("ETag", "")
    if not version or version.startswith("W/"):
        version = reply.headers.get("Last-Modified", "")
    return version


def _content_range(reply: requests.Response) -> tuple[int, int]:
    """First byte and size of the whole file (0 unknown) of a partial answer."""
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
    if not place:
        return -1, 0
    return int(place[1]), 0 if place[2] == "*" else int(place[2])


def _body(reply: requests.Response) -> Iterator[bytes]:
    try:
        yield from reply.raw.stream(BLOCK, decode_content=False)
    except (HTTPError, OSError) as error:
        late = isinstance(error, ReadTimeoutError | TimeoutError)
        raise TransientError("no data in time" if late else "the connection broke off") from None
