"""All files of a config at once: fetched, or before a workflow looked for and checked."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tqdm.contrib.logging import logging_redirect_tqdm

from seq2exp.config import Config
from seq2exp.downloads.fetch import fetch, is_here, missing_line, verify
from seq2exp.downloads.origin import Depot, depot_of
from seq2exp.downloads.progress import shown_bytes
from seq2exp.errors import UserError
from seq2exp.sources import FetchedFile, plan_sources

log = logging.getLogger(__name__)


def download_sources(config: Config, *, jobs: int = 4) -> None:
    """Fetch every file of a config that is not here, several at once.

    ``offline`` of the config is for the workflow, and not looked at.

    Raises
    ------
    UserError
        Some files could not be had: a line on each. The others were fetched all the same.
    """
    files = list(plan_sources(config).fetched.values())
    depot = depot_of(config, offline=False)
    before = pinned(config)
    failures = _fetch_all(files, depot, jobs)
    if news := newly_pinned(config, before):
        log.info("%s", news)
    if failures:
        raise UserError("\n  ".join([f"{_counted(len(failures), 'file')} missing:", *failures]))
    size = sum(file.path.stat().st_size for file in files)
    log.info("%s, %s in %s", _counted(len(files), "file"), shown_bytes(size), depot.folder)


def _fetch_all(files: Iterable[FetchedFile], depot: Depot, jobs: int) -> list[str]:
    """Fetch files; return what went wrong."""

    def attempt(file: FetchedFile) -> str:
        try:
            fetch(file, depot)
        except UserError as error:
            log.error("%s", error)
            return str(error)
        return ""

    with logging_redirect_tqdm(), ThreadPoolExecutor(jobs) as pool:
        try:
            return [failure for failure in pool.map(attempt, files) if failure]
        except KeyboardInterrupt:
            # Threads cannot be stopped, but what they leave can be continued.
            log.error("interrupted; start again, it goes on where it stopped")
            os._exit(130)


def pinned(config: Config) -> set[str]:
    """Return the keys of the lock file's entries."""
    return depot_of(config).lock.keys()


def newly_pinned(config: Config, before: set[str]) -> str:
    """Say how many entries the lock file has won; empty if none."""
    lock = depot_of(config).lock
    new = len(lock.keys() - before)
    return f"{lock.path}: {_counted(new, 'new entry')}; keep it with the config" if new else ""


# --------------------------------------------------------------------------- before the workflow


def require_files(config: Config, origin: str) -> None:
    """Say of an offline run what is missing.

    Raises
    ------
    UserError
        ``offline`` is set and files are missing: a line on each, with its key, where it would come
        from, and where to put it.
    """
    if not config.offline:
        return
    depot = depot_of(config)
    files = plan_sources(config).fetched.values()
    missing = [missing_line(file) for file in files if not is_here(file, depot)]
    if missing:
        raise UserError(
            "\n  ".join(
                [
                    f"{origin}: offline: true, and {_counted(len(missing), 'file')} missing; run "
                    f"`seq2exp download {origin}` where there is a network, or put them there:",
                    *missing,
                ]
            )
        )


def verify_files(config: Config) -> None:
    """Check the files that are where the workflow reads them: it checks only what it fetches.

    A file that was checked before costs nothing; one that was placed by hand is read once.

    Raises
    ------
    UserError
        A file is not the one that the config means.
    """
    depot = depot_of(config)
    for file in plan_sources(config).fetched.values():
        if file.path.exists():
            verify(file, depot)


def _counted(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
