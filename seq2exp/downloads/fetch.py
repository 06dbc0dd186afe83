"""One source of the config to its file in the results folder: checked, recorded, whole or not at all."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seq2exp.downloads.checks import check_file
from seq2exp.downloads.manifest import BY_HAND, Manifest, Row, joined, now, provider
from seq2exp.downloads.origin import Depot, Origin, locate, of_config
from seq2exp.downloads.progress import progress, shown_bytes
from seq2exp.downloads.streams import RefusedError
from seq2exp.downloads.transfer import discard, download, require_space
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of
from seq2exp.schemas import whole_file
from seq2exp.sources import FetchedFile, described, local_path

log = logging.getLogger(__name__)

_BLOCK = 1 << 20


def fetch(file: FetchedFile, depot: Depot) -> None:
    """Bring the file of a source to ``file.path``, if it is not there already.

    What is there already is checked like a download, whoever put it there. A broken download is
    continued by the next call. Every file as it was served is kept under ``depot.hidden``, under
    another name for the same bytes (a hard link), for archives with several members and for the
    day when the workflow deletes ``file.path`` to make it again. Several processes may ask for the
    same file: one fetches, the others wait.

    Raises
    ------
    UserError
        The file cannot be had, or is not the one meant: one line with the key, the address, the
        reason and the remedy. ``file.path`` is then as it was before.
    """
    depot.hidden.mkdir(parents=True, exist_ok=True)
    with _only_one(depot.hidden / f"{file.path.name}.lock", file.key):
        for left in file.path.parent.glob(f".tmp-*-{file.path.name}"):
            left.unlink()  # by a process that was killed
        local = local_path(file.source)
        if file.path.exists() and not _outdated(file.path, local):
            _accept(file, depot)
        elif local is not None:
            _fetch_local(file, local, depot)
        else:
            origin = locate(file, depot)
            with _only_one(depot.hidden / f"{origin.served_name}.lock", file.key):
                served, digests = _serve(file, origin, depot)
                _deliver(served, file, origin, digests, depot)
                size = shown_bytes(file.path.stat().st_size)
                log.info("%s: %s in %s", file.key, size, file.path)


def verify(file: FetchedFile, depot: Depot) -> None:
    """Check a file that is there as :func:`fetch` would, and fetch nothing."""
    depot.hidden.mkdir(parents=True, exist_ok=True)
    with _only_one(depot.hidden / f"{file.path.name}.lock", file.key):
        if file.path.exists():
            _accept(file, depot)


def is_here(file: FetchedFile, depot: Depot) -> bool:
    """Tell whether a file can be had without a network."""
    if file.path.exists() or local_path(file.source) is not None:
        return True
    try:
        origin = locate(file, depot, offline=True)
    except UserError:
        return False
    return origin.known and (depot.hidden / origin.served_name).exists()


def missing_line(file: FetchedFile) -> str:
    """Say what is missing, where it would come from, and where to put it."""
    of = f"{file.source.member} of " if file.source.member else ""
    return f"{file.key}: {of}{described(file.source)} -> {file.path}"


@contextmanager
def _only_one(lock: Path, name: str) -> Iterator[None]:
    """Hold a lock that the system takes back from a process that was killed."""
    guard = FileLock(lock)
    try:
        guard.acquire(blocking=False)
    except Timeout:
        log.info("%s: another process is fetching it; waiting", name)
        guard.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        guard.release()


# --------------------------------------------------------------------------- remote files


def _serve(file: FetchedFile, origin: Origin, depot: Depot) -> tuple[Path, dict[str, str]]:
    """Return the file as it is served, checked, and its checksums."""
    served = depot.hidden / origin.served_name
    place = f"{file.key}: {origin.url}"
    if served.exists() and origin.known:
        try:
            return served, check_file(served, origin.checks, place)
        except UserError as error:
            log.warning("%s; it is fetched anew", error)
    if depot.offline:
        raise UserError(f"{missing_line(file)}; nothing is fetched with offline: true")
    part = served.with_name(f"{served.name}.part")

    def check_size(size: int) -> None:
        for check in origin.checks:
            if check.what == "bytes":
                check.compare(size, place)

    download(origin.url, part, name=file.key, check_size=check_size, patience=depot.patience)
    try:
        digests = check_file(part, origin.checks, place)
        if not origin.known:
            _pin(part, origin, digests, depot)
    except UserError:
        # What failed a check must not be continued.
        discard(part)
        raise
    os.replace(part, served)
    discard(part)
    return served, digests


def _pin(file: Path, origin: Origin, digests: dict[str, str], depot: Depot) -> None:
    """Write down an unknown file, by which every later one is known."""
    depot.lock.record(origin.pin, origin.entry(file.stat().st_size, digests))
    log.warning(
        "%s: no checksum was known; %s now holds that of this file, and every later one must have "
        "it: keep the lock file with the config",
        *(origin.url, depot.lock.path),
    )


def _deliver(
    served: Path, file: FetchedFile, origin: Origin, digests: dict[str, str], depot: Depot
) -> None:
    """Put the file, or the member of the archive, where it is read; enter it in the manifest."""
    with whole_file(file.path) as temporary:
        if file.source.member:
            place = f"{file.key}: {origin.url}"
            _extract(served, file.source.member, temporary, place)
            digests = check_file(temporary, (), f"{place}: {file.source.member}")
        else:
            _link(served, temporary)
        # Before it takes its place: a file without a row counts as placed by hand.
        _record(file, temporary, origin, digests, depot)


def _link(served: Path, path: Path) -> None:
    if served.is_symlink():
        path.symlink_to(served.resolve())
        return
    try:
        os.link(served, path)
    except OSError:
        # Some file systems have no hard links: then there is one name less.
        os.rename(served, path)
    with suppress(PermissionError):
        # The workflow goes by the age of files: this one is of now.
        os.utime(path)


def _extract(archive: Path, member: str, out: Path, place: str) -> None:
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
            require_space(out, opened.getinfo(found[0]).file_size)
            with opened.open(found[0]) as inside, open(out, "wb") as copy:
                shutil.copyfileobj(inside, copy, _BLOCK)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(
            f"{place}: not a readable .zip ({error}); get the file again, or remove member"
        ) from None
    except (RefusedError, OSError) as error:
        raise UserError(f"{place}: {error}") from None


# --------------------------------------------------------------------------- files that are here


def _fetch_local(file: FetchedFile, local: Path, depot: Depot) -> None:
    """Copy a file of this disk (``file://``), or take it out of an archive of this disk."""
    place = f"{file.key}: {described(file.source)}"
    try:
        kind_of(local)  # a readable file, or one line that says what it is
    except UserError as error:
        raise UserError(f"{file.key}: {error}") from None
    origin = _local_origin(file)
    if file.source.member:
        check_file(local, origin.checks, place)
        _deliver(local, file, origin, {}, depot)
        return
    with whole_file(file.path) as temporary:
        try:
            require_space(temporary, local.stat().st_size)
            _copy(local, temporary, file.key)
        except (RefusedError, OSError) as error:
            raise UserError(f"{place}: {error}") from None
        digests = check_file(temporary, origin.checks, place)
        _record(file, temporary, origin, digests, depot)


def _copy(local: Path, out: Path, name: str) -> None:
    with (
        open(local, "rb") as inside,
        open(out, "wb") as copy,
        progress(name, local.stat().st_size) as advance,
    ):
        while block := inside.read(_BLOCK):
            copy.write(block)
            advance(len(block))


def _outdated(path: Path, local: Path | None) -> bool:
    """Whether a copy is older than the file of this disk that it was made of."""
    return bool(local and local.exists() and local.stat().st_mtime > path.stat().st_mtime)


def _accept(file: FetchedFile, depot: Depot) -> None:
    """Check a file that is where it is read already, and enter it in the manifest.

    A file that has its row is compared by what the row says of it, and read again only for a
    checksum that the row lacks; one that was placed by hand, or changed since, is read.
    """
    place = f"{file.key}: {file.path}"
    row = Manifest(depot.folder, depot.hidden).get(file.path.name)
    if row and row.bytes != file.path.stat().st_size:
        row = None
    origin = _origin_of_present(file, depot, known=row is not None)
    if row and origin and row.url not in (origin.url, described(file.source)):
        raise UserError(
            f"{place}: is the file of {row.url}, but the config now means {origin.url}; move it "
            "away to fetch that one"
        )
    # What is known of an archive says nothing of its member.
    checks = origin.checks if origin and not file.source.member else ()
    digests = check_file(file.path, checks, place, row and row.digests())
    if origin and not file.source.member and local_path(file.source) is None:
        if not origin.known:
            _pin(file.path, origin, digests, depot)
        _keep(file.path, depot.hidden / origin.served_name)
    if row and digests != row.digests():
        Manifest(depot.folder, depot.hidden).record(row._replace(checksum=joined(digests)))
    elif not row:
        log.warning("%s: placed by hand; %s", place, "checked" if checks else "nothing to check by")
        unknown = Origin(described(file.source), "", (), None)
        _record(file, file.path, origin or unknown, digests, depot, by_hand=True)


def _origin_of_present(file: FetchedFile, depot: Depot, *, known: bool) -> Origin | None:
    """Where a file would come from; a portal is asked only about a file of which nothing is known."""
    if local_path(file.source) is not None:
        return _local_origin(file)
    try:
        return locate(file, depot, offline=known)
    except UserError:
        if known or depot.offline:
            return None
        raise


def _local_origin(file: FetchedFile) -> Origin:
    return Origin(described(file.source), "", of_config(file.source), None)


def _keep(path: Path, served: Path) -> None:
    """Keep a file under a second name: the workflow deletes the first to make it again."""
    if served.exists():
        return
    try:
        if path.is_symlink():
            served.symlink_to(path.resolve())
        else:
            os.link(path, served)
    except OSError as error:
        log.warning("%s: no second name for the same file (%s)", path, error.strerror)


def _record(
    file: FetchedFile,
    path: Path,
    origin: Origin,
    digests: dict[str, str],
    depot: Depot,
    *,
    by_hand: bool = False,
) -> None:
    source, licence = provider(origin.url)
    row = Row(
        file=file.path.name,
        keys=",".join(file.keys),
        url=origin.url,
        member=file.source.member or "",
        bytes=path.stat().st_size,
        checksum=joined(digests),
        time=now(),
        source=f"{source} ({BY_HAND})" if by_hand else source,
        licence=origin.found.citation if origin.found else licence,
    )
    Manifest(depot.folder, depot.hidden).record(row)
