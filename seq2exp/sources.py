"""Files named in the config to files on disk: copied or downloaded, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from seq2exp import __version__
from seq2exp.config import Source
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of
from seq2exp.schemas import whole_file

ENCODE_EXTENSIONS = {
    "fasta": "fasta.gz",
    "annotation": "gtf.gz",
    "genes": "tsv",
    "blacklist": "bed.gz",
    "hic": "hic",
    "table": "tsv",
    "elements": "bed.gz",
}
"""Extension of an ENCODE file by the last word of its config key; bigWig for all other keys."""

_BLOCK = 1 << 20
_TIMEOUT = (20, 120)
_HEADERS = {"User-Agent": f"seq2exp/{__version__}", "Accept-Encoding": "identity"}


class _Stream(NamedTuple):
    """A response body from byte ``start`` on; ``total`` is the size of the whole file, 0 unknown."""

    start: int
    total: int
    version: str
    blocks: Iterator[bytes]


def fetch(source: Source, destination: Path, *, name: str) -> None:
    """Bring the file of a source to ``destination``.

    A broken download leaves ``{destination}.part``, which the next call continues if the server
    still has the same version of the file.

    Parameters
    ----------
    source
        ``bytes``, ``md5`` and ``sha256``, where given, are those of the file as it is served; for
        a ``member``, of the archive.
    destination
        Path to write.
    name
        Key of the source in the config, for messages; its last word gives an ENCODE file's
        extension.

    Raises
    ------
    UserError
        The file is not there, is an HTML page, or has another size or checksum: one line with the
        key, the address and the remedy.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f"{destination.name}.part")
    local, place = local_path(source), address(source, name)
    if local is not None:
        _copy(local, part, name)
    else:
        _download(place, part, name)
    try:
        _check(part, source, f"{name}: {place}")
        if source.member:
            _extract(part, source.member, destination, f"{name}: {place}")
            part.unlink()
        else:
            os.replace(part, destination)
    except UserError:
        # What failed a check must not be continued.
        part.unlink(missing_ok=True)
        raise
    finally:
        _version_file(part).unlink(missing_ok=True)


def address(source: Source, name: str) -> str:
    """Return the path or URL of a source; ``name`` is its config key."""
    if source.encode:
        words = [word for word in name.split(".") if not word.isdigit()]
        extension = ENCODE_EXTENSIONS.get(words[-1], "bigWig")
        return (
            f"https://www.encodeproject.org/files/{source.encode}/@@download/"
            f"{source.encode}.{extension}"
        )
    return str(source.path or source.url)


def local_path(source: Source) -> Path | None:
    """Return the path of a source on this disk (``path``, or ``url`` with file://), or None."""
    if source.path:
        return Path(source.path)
    if source.url and source.url.startswith("file://"):
        return Path(urllib.parse.unquote(source.url.removeprefix("file://")))
    return None


def source_filename(key: str, source: Source) -> str:
    """Name the fetched copy of a source: its key and its own file name, safe characters only."""
    place = source.member or urllib.parse.urlsplit(address(source, key)).path
    own = re.sub(r"[^A-Za-z0-9._-]", "_", place.replace("\\", "/").rsplit("/", 1)[-1])
    prefix = re.sub(r"[^A-Za-z0-9._-]", "_", key).lstrip(".")
    # The end of a long name is kept: readers go by the extension.
    return f"{prefix}.{own[-100:].lstrip('.')}".rstrip(".")


def _copy(local: Path, part: Path, name: str) -> None:
    try:
        kind_of(local)  # a readable file, or one line that says what it is
        shutil.copyfile(local, part)
    except (UserError, OSError) as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{name}: {error}") from None


# --------------------------------------------------------------------------- download


def _download(url: str, part: Path, name: str) -> None:
    """Write the whole file behind a URL to ``part``, after what is already there."""
    try:
        stream = _open(url, part, name)
        if stream is None:
            return
        if stream.version:
            _version_file(part).write_text(stream.version)
        else:
            _version_file(part).unlink(missing_ok=True)
        with (
            open(part, "ab" if stream.start else "wb") as out,
            tqdm(
                total=stream.total or None,
                initial=stream.start,
                unit="B",
                unit_scale=True,
                desc=name,
                disable=None,
            ) as progress,
        ):
            for block in stream.blocks:
                out.write(block)
                progress.update(len(block))
    except (requests.RequestException, HTTPError, OSError) as error:
        raise UserError(
            f"{name}: {url}: download failed ({_reason(error)}); check the address and the network "
            "and start again, it goes on where it stopped"
        ) from None
    size = part.stat().st_size
    if stream.total and size != stream.total:
        raise UserError(
            f"{name}: {url}: the connection ended at byte {size} of {stream.total}; start again, it "
            "goes on where it stopped"
        )


def _open(url: str, part: Path, name: str) -> _Stream | None:
    """Ask for the missing bytes; None if there are none."""
    if url.startswith("ftp://"):
        response = urllib.request.urlopen(url, timeout=_TIMEOUT[1])
        total = int(response.headers.get("Content-Length") or 0)
        return _Stream(0, total, "", _read_all(response))
    start = part.stat().st_size if part.exists() and _version_file(part).exists() else 0
    headers = dict(_HEADERS)
    if start:
        # The server sends the rest only of the version that the part is of, else all of the file.
        headers |= {"Range": f"bytes={start}-", "If-Range": _version_file(part).read_text()}
    reply = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    served = reply.headers.get("Content-Range", "")
    if reply.status_code == 416 and served == f"bytes */{start}":
        reply.close()
        return None
    if reply.status_code == 206 and not served.startswith(f"bytes {start}-"):
        reply.close()
        _version_file(part).unlink()
        return _open(url, part, name)
    if not reply.ok:
        reply.close()
        raise UserError(
            f"{name}: {url} answered {reply.status_code} {reply.reason}; correct the address"
        )
    if reply.status_code != 206:
        start = 0
    length = reply.headers.get("Content-Length")
    version = reply.headers.get("ETag", "")
    if not version or version.startswith("W/"):  # weak ones are not for byte ranges (RFC 9110)
        version = reply.headers.get("Last-Modified", "")
    return _Stream(start, start + int(length) if length else 0, version, _as_served(reply))


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _as_served(reply: requests.Response) -> Iterator[bytes]:
    """Read a body undecoded: a .gz marked as a compressed transfer must stay compressed."""
    with reply:
        yield from reply.raw.stream(_BLOCK, decode_content=False)


def _read_all(response: urllib.response.addinfourl) -> Iterator[bytes]:
    with closing(response):
        while block := response.read(_BLOCK):
            yield block


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


# --------------------------------------------------------------------------- checks


def _check(part: Path, source: Source, place: str) -> None:
    kind = kind_of(part)
    if kind in ("empty", "html"):
        found = "an empty file" if kind == "empty" else "an HTML page instead of the file"
        raise UserError(f"{place}: {found}; correct the address (is a login needed?)")
    size = part.stat().st_size
    if source.bytes and size != source.bytes:
        raise UserError(
            f"{place}: {size} bytes, but bytes says {source.bytes}; fetch again, or correct bytes if "
            "the file was replaced by a newer one"
        )
    for algorithm in ("md5", "sha256"):
        wanted = getattr(source, algorithm)
        if wanted is None:
            continue
        with open(part, "rb") as handle:
            found = hashlib.file_digest(handle, algorithm).hexdigest()
        if found != wanted:
            raise UserError(
                f"{place}: {algorithm} is {found}, but the config says {wanted}; fetch again, or "
                f"correct {algorithm} if the file was replaced by a newer one"
            )


def _extract(archive: Path, member: str, destination: Path, place: str) -> None:
    """Take one file out of a .zip, by its path in it or by its name if that is unique."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if not name.endswith("/")]
            found = [name for name in names if name == member] or [
                name for name in names if name.rsplit("/", 1)[-1] == member
            ]
            if len(found) != 1:
                raise UserError(
                    f"{place}: {len(found) or 'no'} file {member!r} in the archive, which has "
                    f"{', '.join(names[:8])}; set member to one of these"
                )
            with (
                whole_file(destination) as temporary,
                opened.open(found[0]) as inside,
                open(temporary, "wb") as out,
            ):
                shutil.copyfileobj(inside, out, _BLOCK)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(
            f"{place}: not a readable .zip ({error}); get the file again, or remove member"
        ) from None
