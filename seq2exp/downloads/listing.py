"""Every file of a config as a table: how large it is, where it comes from, whether it is here."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from seq2exp.config import Config
from seq2exp.downloads.http import open_session, size_of
from seq2exp.downloads.manifest import Manifest
from seq2exp.downloads.origin import Depot, Origin, depot_of, locate
from seq2exp.downloads.progress import shown_bytes
from seq2exp.errors import UserError
from seq2exp.lockfile import LockEntry, SourceLock
from seq2exp.sources import FetchedFile, described, local_path, plan_sources

_TIMEOUT = (5.0, 20.0)


class Listed(NamedTuple):
    """One file."""

    keys: str
    file: str
    """The file that is read."""
    source: str
    bytes: int | None
    """None if unknown."""
    state: str
    """``here``, ``here, not checked`` (placed by hand), ``to fetch``, ``begun``, ``to copy`` from
    this disk, or ``missing`` (a local file)."""


class _ReadOnly(SourceLock):
    """A lock file in which nothing is pinned for being looked at."""

    def record(self, key: str, entry: LockEntry) -> None:
        pass


def list_sources(config: Config) -> list[Listed]:
    """List every file of a config; nothing is fetched.

    Servers are asked for sizes that are not known, unless ``offline`` is set.
    """
    plan = plan_sources(config)
    depot = depot_of(config)
    depot = replace(depot, lock=_ReadOnly(depot.lock.path))
    fetched = {str(file.path) for file in plan.fetched.values()}
    own: dict[str, list[str]] = {}
    for key, path in plan.paths.items():
        if path not in fetched:
            own.setdefault(path, []).append(key)
    with ThreadPoolExecutor(8) as pool:
        rest = pool.map(lambda file: _listed(file, depot), plan.fetched.values())
        return [_own(path, keys) for path, keys in own.items()] + list(rest)


def print_list(rows: list[Listed]) -> None:
    """Print the list: a table on a terminal, tab-separated with sizes in bytes elsewhere."""
    if not sys.stdout.isatty():
        print(*Listed._fields, sep="\t")
        for row in rows:
            print(*("" if cell is None else cell for cell in row), sep="\t")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in Listed._fields:
        table.add_column(
            "size" if name == "bytes" else name,
            justify="right" if name == "bytes" else "left",
            overflow="fold",
        )
    for row in rows:
        size = "?" if row.bytes is None else shown_bytes(row.bytes)
        table.add_row(row.keys.replace(",", "\n"), row.file, row.source, size, row.state)
    Console().print(table)
    for state in sorted({row.state for row in rows}):
        sizes = [row.bytes for row in rows if row.state == state]
        unknown = sizes.count(None)
        known = shown_bytes(sum(size for size in sizes if size is not None))
        print(
            f"{state}: {len(sizes)} ({known}{f' and {unknown} of unknown size' if unknown else ''})"
        )


def _own(path: str, keys: list[str]) -> Listed:
    file = Path(path)
    size = file.stat().st_size if file.is_file() else None
    return Listed(",".join(keys), path, "", size, "missing" if size is None else "here")


def _listed(file: FetchedFile, depot: Depot) -> Listed:
    of = f"{file.source.member} of " if file.source.member else ""
    local = local_path(file.source)
    if file.path.exists():
        known = Manifest(depot.folder, depot.hidden).get(file.path.name)
        size, state = file.path.stat().st_size, "here" if known else "here, not checked"
    elif local is not None:
        size, state = None, "to copy" if local.exists() else "missing"
    else:
        size, state = _remote(file, depot)
    return Listed(",".join(file.keys), str(file.path), f"{of}{described(file.source)}", size, state)


def _remote(file: FetchedFile, depot: Depot) -> tuple[int | None, str]:
    """Size and state of a file that is elsewhere."""
    try:
        origin = locate(file, depot)
    except UserError:
        return None, "to fetch"
    begun = (depot.hidden / f"{origin.served_name}.part").exists()
    return _size(origin, depot), "begun" if begun else "to fetch"


def _size(origin: Origin, depot: Depot) -> int | None:
    for check in origin.checks:
        if check.what == "bytes":
            return int(check.value)
    if depot.offline or not origin.url.startswith("http"):
        return None
    with open_session() as session:
        return size_of(session, origin.url, _TIMEOUT)
