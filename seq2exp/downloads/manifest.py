"""``manifest.tsv``: where every file of ``results/sources`` came from, and when."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock

from seq2exp.errors import UserError
from seq2exp.schemas import whole_file

NAME = "manifest.tsv"
BY_HAND = "placed by hand"

PROVIDERS = {
    "encodeproject.org": (
        "ENCODE",
        "free to use, cite the accessions: https://www.encodeproject.org/help/citing-encode/",
    ),
    "4dn-open-data-public.s3.amazonaws.com": (
        "4D Nucleome",
        "cite the accessions and 4DN: https://data.4dnucleome.org/help/user-guide/faq",
    ),
    "data.4dnucleome.org": (
        "4D Nucleome",
        "cite the accessions and 4DN: https://data.4dnucleome.org/help/user-guide/faq",
    ),
    "fantom.gsc.riken.jp": ("FANTOM5", "terms: https://fantom.gsc.riken.jp/5/"),
    "ucsc.edu": ("UCSC Genome Browser", "terms: https://genome.ucsc.edu/license/"),
    "ebi.ac.uk": ("EMBL-EBI", "terms: https://www.ebi.ac.uk/about/terms-of-use/"),
    "zenodo.org": ("Zenodo", "the licence is on the record's page"),
    "github.com": ("GitHub", "the licence is in the repository"),
    "githubusercontent.com": ("GitHub", "the licence is in the repository"),
}
"""Name and licence note by the end of the host's name."""


class Row(NamedTuple):
    """One file. Checksums and size are those of the file as it lies there."""

    file: str
    keys: str
    """Keys of the config, with commas."""
    url: str
    """Where it came from; a path for local files."""
    member: str
    """Its name in the archive behind ``url``."""
    bytes: int
    checksum: str
    """``sha256:...``, ``md5:...`` or both with a space."""
    time: str
    """UTC, ISO 8601."""
    source: str
    licence: str

    def digests(self) -> dict[str, str]:
        """Return the checksums by name of the algorithm."""
        return dict(one.split(":", 1) for one in self.checksum.split() if ":" in one)


class Manifest:
    """The manifest of one folder of sources; several processes may use it at once."""

    def __init__(self, folder: Path, locks: Path) -> None:
        self.path = folder / NAME
        self._guard = locks / f"{NAME}.lock"

    def get(self, file: str) -> Row | None:
        """Return the row of a file, None if there is none."""
        return self._rows().get(file)

    def record(self, row: Row) -> None:
        """Write the row of a file, in place of an older one; the others are kept."""
        with FileLock(self._guard):
            rows = self._rows() | {row.file: row}
            with (
                whole_file(self.path) as temporary,
                open(temporary, "w", newline="", encoding="utf-8") as out,
            ):
                table = csv.writer(out, delimiter="\t", lineterminator="\n")
                table.writerow(Row._fields)
                table.writerows(row for _, row in sorted(rows.items()))

    def _rows(self) -> dict[str, Row]:
        try:
            with open(self.path, newline="", encoding="utf-8") as handle:
                table = csv.DictReader(handle, delimiter="\t", strict=True)
                if tuple(table.fieldnames or ()) != Row._fields:
                    raise ValueError
                lines: list[dict[str, Any]] = list(table)
            rows = [Row(**{**line, "bytes": int(line["bytes"])}) for line in lines]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, csv.Error):
            raise UserError(
                f"{self.path}: not a manifest as it was written; move it away, and the files are "
                "checked and entered anew"
            ) from None
        return {row.file: row for row in rows}


def joined(digests: dict[str, str]) -> str:
    """Write checksums into one column."""
    return " ".join(f"{name}:{digest}" for name, digest in sorted(digests.items()))


def provider(url: str) -> tuple[str, str]:
    """Return who provides a file and a note on its licence, by the host of its address."""
    place = urlsplit(url)
    host = place.hostname or ""
    if place.scheme not in ("http", "https", "ftp"):
        return "local file", ""
    for end, (name, note) in PROVIDERS.items():
        if host == end or host.endswith(f".{end}"):
            return name, note
    return host, f"see {host}"


def now() -> str:
    """Return the time as it is written here: UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
