"""4D Nucleome files: the open copy of a contact map, which needs no account.

Source: the portal's file records (https://data.4dnucleome.org, ``?format=json``), whose
``open_data_url`` is a public bucket. The portal's own download needs an account.
"""

from __future__ import annotations

from typing import Any

from seq2exp.errors import UserError
from seq2exp.portals import Answers, RemoteFile

PORTAL = "https://data.4dnucleome.org"
CITATION = "4D Nucleome; cite the accession, the study behind it, and Reiff et al. 2022"
_REMEDY = "give the file by url or path, an ENCODE contact map, or leave hic out (power law)"


def look_up(accession: str, *, key: str, assembly: str | None, answers: Answers) -> RemoteFile:
    """Ask the portal for one processed file.

    Parameters
    ----------
    accession
        4DNFI...
    key
        Key of the source in the config, for messages.
    assembly
        As the portals spell it (GRCh38); None if unknown.
    answers
        Where answers come from.

    Raises
    ------
    UserError
        No such file, another assembly, or no open copy of it.
    """
    url = f"{PORTAL}/files-processed/{accession}/?format=json"
    record = answers.json(url, key=key)
    place = f"{key}: 4DN file {accession}"
    if record is None:
        raise UserError(f"{place} does not exist; correct the accession")
    found = record.get("genome_assembly")
    if assembly and found and found != assembly:
        raise UserError(
            f"{place} is on {found}, but the genome is {assembly}; give the map on {assembly}"
        )
    if not record.get("open_data_url"):
        raise UserError(f"{place} has no open copy (the portal asks for an account); {_REMEDY}")
    return RemoteFile(
        accession=str(record.get("accession", accession)),
        url=str(record["open_data_url"]),
        file_format=_format(record.get("file_format")),
        bytes=record.get("file_size"),
        md5=record.get("md5sum"),
        assembly=found,
        status=str(record.get("status", "released")),
        citation=CITATION,
    )


def _format(item: Any) -> str:
    """Name of a format, which the portal gives as an object or as /file-formats/hic/."""
    if isinstance(item, dict):
        return str(item.get("file_format") or item.get("display_title") or "")
    return str(item or "").strip("/").rsplit("/", 1)[-1]
