"""Sources that are given by accession or by what they measure, to a URL with size and checksum.

The first answer is written to the lock file; every later run takes it from there and asks nobody.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from seq2exp import encode, fantom5, fourdn
from seq2exp.encode import ASSEMBLIES
from seq2exp.lockfile import LockEntry, SourceLock
from seq2exp.portals import Answers, RemoteFile
from seq2exp.source_config import EncodeQuery, Source

log = logging.getLogger(__name__)

FORMATS = {
    "h3k27ac": "bigWig",
    "dnase": "bigWig",
    "bigwig": "bigWig",
    "replicates": "bigWig",
    "forward": "bigWig",
    "reverse": "bigWig",
    "hic": "hic",
    "table": "tsv",
    "genes": "tsv",
    "blacklist": "bed",
    "peaks": "bed",
    "annotation": "gtf",
    "fasta": "fasta",
}
"""Format of a file by the last word of its config key, as ENCODE spells it; others may be any."""

PAPER_OUTPUT_TYPES = {"h3k27ac": "signal p-value", "dnase": "read-depth normalized signal"}
"""What the paper's tracks hold. The mask reads the values as they are, so the kind matters."""


def needs_lookup(source: Source) -> bool:
    """Tell whether the address of a source is not in the config."""
    return bool(source.encode or source.fourdn or source.fantom5)


def lock_key(source: Source, *, key: str, assembly: str) -> str:
    """Name what was asked for, in the lock file: the same wherever the config asks for it.

    Parameters
    ----------
    source
        One for which :func:`needs_lookup` is true.
    key
        Its key in the config.
    assembly
        ``genome.name``.
    """
    if isinstance(source.encode, EncodeQuery):
        wanted = source.encode.model_dump(exclude_none=True)
        wanted |= {"assembly": _assembly(source, assembly), "file_format": file_format(key)}
        return "encode:" + ",".join(f"{name}={value}" for name, value in sorted(wanted.items()))
    if source.encode:
        return f"encode:{source.encode}"
    if source.fourdn:
        return f"4dn:{source.fourdn}"
    return f"fantom5:{source.fantom5},strand={source.strand},assembly={_assembly(source, assembly)}"


def resolve(
    source: Source,
    *,
    key: str,
    assembly: str,
    cache_dir: Path,
    lock: SourceLock,
    offline: bool = False,
) -> RemoteFile:
    """Find the file that a source means.

    Parameters
    ----------
    source
        One for which :func:`needs_lookup` is true.
    key
        Its key in the config: its last word gives the format that is needed.
    assembly
        ``genome.name``; ENCODE's spelling follows from it.
    cache_dir
        Where the answers of portals are kept.
    lock
        What was found before is taken from here; what is found with size and checksum is written.
        (FANTOM5 publishes neither: its files are pinned under :func:`lock_key` once downloaded.)
    offline
        Ask nobody: lock file and kept answers only.

    Raises
    ------
    UserError
        Nothing fits, or it cannot be known offline: one line with the key and the remedy.
    """
    name = lock_key(source, key=key, assembly=assembly)
    entry = lock.get(name)
    if entry is not None:
        found = from_lock(entry)
        log.info("%s: %s as in %s", key, found.accession or found.url, lock.path)
    else:
        found = _look_up(source, key, assembly, Answers(cache_dir, offline=offline))
        if found.bytes and found.md5:
            lock.record(name, to_lock(found))
    _say(found, key)
    return found


def to_lock(found: RemoteFile) -> LockEntry:
    """Write a file with size and checksum as an entry of the lock file."""
    assert found.bytes
    facts = found._replace(url="", bytes=None, md5=None)._asdict()
    extra = {name: value for name, value in facts.items() if value}
    return LockEntry(url=found.url, bytes=found.bytes, md5=found.md5, extra=extra)


def from_lock(entry: LockEntry) -> RemoteFile:
    """Read a file back from an entry of the lock file."""
    facts: dict[str, Any] = {"accession": "", "file_format": ""}
    facts |= {name: entry.extra[name] for name in RemoteFile._fields if name in entry.extra}
    facts |= {"url": entry.url, "bytes": entry.bytes, "md5": entry.md5}
    return RemoteFile(**facts)._replace(replaced_by=tuple(facts.get("replaced_by", ())))


def file_format(key: str) -> str | None:
    """Format that a key of the config needs, as ENCODE spells it; None where any will do."""
    words = [word for word in key.split(".") if not word.isdigit()]
    return FORMATS.get(words[-1])


def _look_up(source: Source, key: str, assembly: str, answers: Answers) -> RemoteFile:
    wanted = _assembly(source, assembly)
    if source.encode:
        return encode.look_up(
            source.encode,
            key=key,
            file_format=file_format(key),
            assembly=wanted,
            answers=answers,
        )
    if source.fourdn:
        return fourdn.look_up(source.fourdn, key=key, assembly=wanted, answers=answers)
    return fantom5.look_up(
        str(source.fantom5), str(source.strand), key=key, assembly=wanted, answers=answers
    )


def _assembly(source: Source, genome_name: str) -> str | None:
    given = source.encode.assembly if isinstance(source.encode, EncodeQuery) else None
    return given or ASSEMBLIES.get(genome_name)


def _say(found: RemoteFile, key: str) -> None:
    log.info("%s: %s (%s)", key, found.url, found.citation)
    wrong = encode.what_is_wrong(found, f"{key}: {found.accession}")
    if wrong:
        log.warning("%s", wrong)
    elif found.replaced_by:
        log.warning("%s: a newer file is %s", key, ", ".join(found.replaced_by))
    usual = PAPER_OUTPUT_TYPES.get(key.rsplit(".", 1)[-1])
    if usual and found.output_type and found.output_type != usual:
        log.warning(
            "%s: %s holds %s, the paper's track %s; masks read the values as they are, so they "
            "will differ",
            *(key, found.accession, found.output_type, usual),
        )
