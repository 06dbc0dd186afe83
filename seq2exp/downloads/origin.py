"""Where a file is fetched from, and what is known of it beforehand."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from seq2exp.config import Config
from seq2exp.downloads.checks import Check
from seq2exp.downloads.transfer import PATIENT, Patience
from seq2exp.errors import UserError
from seq2exp.lockfile import LockEntry, SourceLock
from seq2exp.portals import RemoteFile
from seq2exp.resolve import lock_key, needs_lookup, resolve
from seq2exp.source_config import Source
from seq2exp.sources import FetchedFile, sources_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Depot:
    """What all files of one config share while they are fetched."""

    folder: Path
    """``{results}/sources``."""
    lock: SourceLock
    assembly: str
    offline: bool = False
    patience: Patience = PATIENT

    @property
    def hidden(self) -> Path:
        """Folder of what no rule declares, and so nobody but us deletes.

        Parts of downloads, locks, the answers of portals, and every file as it was served.
        """
        return self.folder / ".downloads"


def depot_of(config: Config, *, offline: bool | None = None) -> Depot:
    """Set up what the files of a config share; ``offline`` overrules the config."""
    return Depot(
        folder=sources_folder(config),
        lock=SourceLock(Path(config.downloads.lock_file)),
        assembly=config.genome.name,
        offline=config.offline if offline is None else offline,
        patience=Patience(retries=config.downloads.retries),
    )


class Origin(NamedTuple):
    """Where a file comes from."""

    url: str
    pin: str
    """Key of its entry in the lock file."""
    checks: tuple[Check, ...]
    found: RemoteFile | None
    """What a portal says of it."""

    @property
    def known(self) -> bool:
        """Whether the right file can be told from another."""
        return any(check.what != "bytes" for check in self.checks)

    @property
    def served_name(self) -> str:
        """Name of the file as it is served: its own, told apart by the address."""
        own = re.sub(r"[^A-Za-z0-9._-]", "_", urlsplit(self.url).path.rsplit("/", 1)[-1])[-100:]
        return f"{hashlib.sha256(self.url.encode()).hexdigest()[:10]}.{own.lstrip('.')}".rstrip(".")

    def entry(self, size: int, digests: dict[str, str]) -> LockEntry:
        """Write down for the lock file what was fetched."""
        facts = self.found._asdict() if self.found else {}
        for name in ("url", "bytes", "md5"):
            facts.pop(name, None)
        return LockEntry(
            url=self.url,
            bytes=size,
            **digests,
            extra={name: value for name, value in facts.items() if value},
        )


def locate(file: FetchedFile, depot: Depot, *, offline: bool = False) -> Origin:
    """Find the address of a file and what it must be.

    The config's checksum counts; without one, the lock file's; without one, the portal's.

    Raises
    ------
    UserError
        A portal knows of no such file, or cannot be asked.
    """
    source, found = file.source, None
    if needs_lookup(source):
        pin = lock_key(source, key=file.key, assembly=depot.assembly)
        found = resolve(
            source,
            key=file.key,
            assembly=depot.assembly,
            cache_dir=depot.hidden / "portals",
            lock=depot.lock,
            offline=depot.offline or offline,
        )
        url = found.url
    else:
        pin = url = str(source.url)
        if urlsplit(url).password:
            # It would be written into the lock file and the manifest.
            raise UserError(
                f"{file.key}: url holds a password; put the login into ~/.netrc instead"
            )
    checks = list(of_config(source))
    if not any(check.what != "bytes" for check in checks):
        entry = depot.lock.get(pin)
        checks += _of_lock(entry, pin, depot.lock.path) if entry else _of_portal(found)
    return Origin(url, pin, tuple(checks), found)


def of_config(source: Source) -> tuple[Check, ...]:
    """What the config says that a file is."""
    return tuple(
        Check(what, getattr(source, what), "the config", f"get the right file, or correct {what}")
        for what in ("bytes", "md5", "sha256")
        if getattr(source, what)
    )


def _of_lock(entry: LockEntry, pin: str, path: Path) -> list[Check]:
    return [
        Check(
            what,
            getattr(entry, what),
            str(path),
            f"the file was replaced since it was first used: get that one back, or accept the new "
            f"one by removing the entry {pin!r} from {path}",
        )
        for what in ("bytes", "md5", "sha256")
        if getattr(entry, what)
    ]


def _of_portal(found: RemoteFile | None) -> list[Check]:
    return [
        Check(what, getattr(found, what), "its record", "fetch again")
        for what in ("bytes", "md5")
        if getattr(found, what, None)
    ]
