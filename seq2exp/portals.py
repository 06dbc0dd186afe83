"""What public databases say of their files: asked politely, kept, and read again without a network."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from seq2exp.downloads.http import open_session
from seq2exp.errors import UserError
from seq2exp.schemas import whole_file

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each repetition of a question; a Retry-After header sets others."""
LONGEST_PAUSE = 120.0
BUSY = (408, 429, 500, 502, 503, 504)
"""Answers that are worth a repetition."""
_TIMEOUT = (20, 120)


class RemoteFile(NamedTuple):
    """One file of a public database: where it is, how to know it again, what it measures."""

    accession: str
    url: str
    file_format: str
    bytes: int | None = None
    md5: str | None = None
    assembly: str | None = None
    output_type: str | None = None
    status: str = "released"
    experiment: str | None = None
    biosample: str | None = None
    assay: str | None = None
    replaced_by: tuple[str, ...] = ()
    """Accessions that the database recommends in place of this one."""
    citation: str = ""
    """Terms of use, and what to cite."""


class Reply(NamedTuple):
    """Status and text of one answer."""

    status: int
    text: str


def ask(url: str) -> Reply:
    """Ask a server when it is its host's turn, and again where it is busy or out of reach.

    Raises
    ------
    requests.RequestException
        No answer to the last try.
    """
    with open_session() as session:
        for pause in (*PAUSES, None):
            try:
                reply = session.get(url, timeout=_TIMEOUT)
            except (requests.ConnectionError, requests.Timeout):
                if pause is None:
                    raise
            else:
                if pause is None or reply.status_code not in BUSY:
                    break
                pause = min(_retry_after(reply) or pause, LONGEST_PAUSE)
            time.sleep(pause)
    return Reply(reply.status_code, reply.text)


def _retry_after(reply: requests.Response) -> float | None:
    value = reply.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


class Answers:
    """Answers of databases, the last one of each address kept in a file.

    Parameters
    ----------
    folder
        Where they are kept.
    offline
        Only what is kept is given.
    ask
        How a server is asked.
    """

    def __init__(
        self, folder: Path, *, offline: bool = False, ask: Callable[[str], Reply] = ask
    ) -> None:
        self.folder = Path(folder)
        self.offline = offline
        self._ask = ask

    def json(self, url: str, *, key: str) -> dict[str, Any] | None:
        """Return a JSON object, None where the server knows of nothing (404); see :meth:`text`."""
        text = self.text(url, key=key)
        if text is None:
            return None
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise UserError(
                f"{key}: {url} did not answer with JSON ({text[:60]!r}); try again later, or give "
                "the file itself by url or path"
            )
        return content

    def text(self, url: str, *, key: str, keep_days: float = 0) -> str | None:
        """Return an answer's text, None where the server knows of nothing (404).

        Parameters
        ----------
        url
            What to ask.
        key
            Key of the source in the config, for messages.
        keep_days
            An answer that is not older is not asked for again.

        Raises
        ------
        UserError
            No answer and none kept, or the server refuses.
        """
        file = self.folder / _file_name(url)
        kept = _read(file, url)
        if self.offline and kept is None:
            raise UserError(
                f"{key}: not looked up yet ({url}), and this run is offline; run once with a "
                f"network, or bring the lock file and {self.folder} from where that was done"
            )
        if kept and (self.offline or _age_days(kept) <= keep_days):
            return str(kept["answer"])
        try:
            status, text = self._ask(url)
            failure = f"answered {status}" if status >= 400 and status != 404 else ""
        except requests.RequestException as error:
            status, text = 0, ""
            late = isinstance(error, requests.Timeout)
            failure = "gave no answer in time" if late else "could not be reached"
        if not failure:
            return None if status == 404 else _keep(file, url, text)
        if kept and (status == 0 or status in BUSY):
            log.warning("%s: %s %s; its answer of %s is used", key, url, failure, kept["date"])
            return str(kept["answer"])
        raise UserError(
            f"{key}: {url} {failure}; check the network and start again, or give the file itself "
            "by url or path"
        )


def address(base: str, **parameters: str | list[str]) -> str:
    """Build the address of a query; a list repeats its parameter."""
    return f"{base}?{urlencode(parameters, doseq=True)}"


def _file_name(url: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "_", url.partition("://")[2]).strip("_")[:80]
    return f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:10]}.json"


def _read(file: Path, url: str) -> dict[str, str] | None:
    """Read a kept answer; a file that is not one counts as none."""
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    good = isinstance(kept, dict) and kept.get("url") == url and {"answer", "date"} <= kept.keys()
    return kept if good else None


def _keep(file: Path, url: str, text: str) -> str:
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with whole_file(file) as temporary:
        temporary.write_text(json.dumps({"url": url, "date": date, "answer": text}, indent=1))
    return text


def _age_days(kept: dict[str, str]) -> float:
    try:
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(kept["date"])
    except (TypeError, ValueError):
        return float("inf")
    return age / datetime.timedelta(days=1)
