"""Sources of the config to files on disk: which are fetched, from where, and under which name.

Pure functions of the config: nothing here opens a file or the network. The workflow and
``seq2exp download`` share them, so that what one fetches is there for the other.
"""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from seq2exp.config import Config
from seq2exp.source_config import PLACES, EncodeQuery, Source

EXTENSIONS = {
    "fasta": "fasta.gz",
    "annotation": "gtf.gz",
    "genes": "tsv",
    "blacklist": "bed.gz",
    "hic": "hic",
    "table": "tsv",
    "elements": "bed.gz",
    "peaks": "bed.gz",
    "crispri": "tsv",
}
"""Extension of an accession's file by the last word of its config key; bigWig for all others."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class FetchedFile(NamedTuple):
    """A file that is brought into the results folder before it is used."""

    path: Path
    """Where it is read from: ``{results}/sources/{name}``."""
    keys: tuple[str, ...]
    """Keys of the config that mean this file, the first of which named it."""
    source: Source

    @property
    def key(self) -> str:
        """The key for messages."""
        return self.keys[0]


class SourcePlan(NamedTuple):
    """Every file of the config."""

    paths: dict[str, str]
    """Key of the config -> the file to read: the user's own, or its fetched copy."""
    fetched: dict[str, FetchedFile]
    """Name of a fetched copy -> what it is."""


def plan_sources(config: Config) -> SourcePlan:
    """Lay out the files of a config; a file that several keys share is fetched once."""
    paths: dict[str, str] = {}
    keys_of: dict[Source, list[str]] = {}
    for key, given in config.sources():
        # Only what says which file it is: another resolution of a contact map is the same file.
        source = Source(**{field: getattr(given, field) for field in Source.model_fields})
        if source.path and not source.member:
            paths[key] = source.path
        else:
            keys_of.setdefault(source, []).append(key)
    folder = sources_folder(config)
    fetched = {}
    for source, keys in keys_of.items():
        name = source_filename(keys[0], source)
        fetched[name] = FetchedFile(folder / name, tuple(keys), source)
        paths |= dict.fromkeys(keys, str(folder / name))
    return SourcePlan(paths, fetched)


def sources_folder(config: Config) -> Path:
    """Folder of the fetched files."""
    return Path(config.results.rstrip("/")) / "sources"


def local_path(source: Source) -> Path | None:
    """Return the path of a source on this disk (``path``, or ``url`` with file://), or None."""
    if source.path:
        return Path(source.path)
    if source.url and source.url.startswith("file://"):
        return Path(urllib.parse.unquote(source.url.removeprefix("file://")))
    return None


def described(source: Source) -> str:
    """Say where a source comes from, the way the config does: an address or ``encode ENCFF...``."""
    if source.path or source.url:
        return str(source.path or source.url)
    place = next(place for place in PLACES if getattr(source, place))
    value = getattr(source, place)
    if isinstance(value, EncodeQuery):
        settings = value.model_dump(exclude_none=True).items()
        value = ", ".join(f"{name}: {setting}" for name, setting in settings)
    return f"{place} {value}{source.strand or ''}"


def source_filename(key: str, source: Source) -> str:
    """Name the fetched copy of a source: its key and its own file name, safe characters only."""
    own = _UNSAFE.sub("_", _own_name(key, source).replace("\\", "/").rsplit("/", 1)[-1])
    prefix = _UNSAFE.sub("_", key).lstrip(".")
    # The end of a long name is kept: readers go by the extension.
    return f"{prefix}.{own[-100:].lstrip('.')}".rstrip(".")


def _own_name(key: str, source: Source) -> str:
    """Name a source's file has where it comes from; of an accession, the accession."""
    if source.member:
        return source.member
    if source.path or source.url:
        return urllib.parse.urlsplit(str(source.path or source.url)).path
    words = [word for word in key.split(".") if not word.isdigit()]
    extension = EXTENSIONS.get(words[-1], "bigWig")
    own_names = {"references": "bed.gz", "predictions": "tsv"}
    extension = own_names.get(words[-2], extension) if len(words) > 1 else extension
    if isinstance(source.encode, EncodeQuery):
        return extension
    strand = {"+": ".fwd", "-": ".rev", None: ""}[source.strand]
    return f"{source.encode or source.fourdn or source.fantom5}{strand}.{extension}"
