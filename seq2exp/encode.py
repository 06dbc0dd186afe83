"""ENCODE files: from an accession, or from what is measured, to one file of the portal.

What a query means is a total order, so that it is the same file for everybody:

1. experiments that are released, of the biosample and assay, neither treated nor modified;
2. their files that are released, public, of the wanted format and assembly, and of an output type
   that the assay's table lists;
3. of these the first by: output type in the order of the table, ENCODE's ``preferred_default``,
   more biological replicates, newer ``date_created``, accession.

Contact maps over ``HIC_LIMIT`` bytes are left out: some are of 200 GB.

Sources: the portal's REST API (https://www.encodeproject.org/help/rest-api/) and its file schema
(https://www.encodeproject.org/profiles/file). ENCODE data are free to use; cite the accessions.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from seq2exp.errors import UserError
from seq2exp.portals import Answers, RemoteFile, address
from seq2exp.source_config import EncodeQuery

log = logging.getLogger(__name__)

PORTAL = "https://www.encodeproject.org"
CITATION = "ENCODE, free to use; cite the accession"
ASSEMBLIES = {
    "hg38": "GRCh38",
    "GRCh38": "GRCh38",
    "hg19": "hg19",
    "GRCh37": "hg19",
    "mm10": "mm10",
    "GRCm38": "mm10",
}
"""ENCODE's name of an assembly by that of ``genome.name``."""
HIC_LIMIT = 60 * 10**9

_FILE_FIELDS = (
    "accession",
    "status",
    "file_format",
    "output_type",
    "assembly",
    "file_size",
    "preferred_default",
    "biological_replicates",
    "date_created",
    "no_file_available",
    "restricted",
)
_OLD = {"archived": "a newer analysis took its place", "revoked": "ENCODE found an error in it"}


class Assay(NamedTuple):
    """How the portal names an assay, and the output types that serve, the best one first."""

    search: dict[str, str | list[str]]
    output_types: dict[str, tuple[str, ...]]
    """By file format."""


ASSAYS = {
    # The paper's: read-depth normalised.
    "DNase": Assay(
        {"assay_title": "DNase-seq"},
        {"bigWig": ("read-depth normalized signal",), "bed": ("peaks",)},
    ),
    "ATAC": Assay(
        {"assay_title": "ATAC-seq"}, {"bigWig": ("signal p-value", "fold change over control")}
    ),
    "RNA": Assay(
        {"assay_title": ["polyA plus RNA-seq", "total RNA-seq"]},
        {"tsv": ("gene quantifications",)},
    ),
    "Hi-C": Assay(
        {"assay_title": ["intact Hi-C", "in situ Hi-C", "dilution Hi-C"]},
        {"hic": ("mapping quality thresholded contact matrix", "contact matrix")},
    ),
}


def assay_rules(assay: str) -> Assay:
    """Look an assay of the config up; every name that is not in ``ASSAYS`` is a histone mark."""
    histone = Assay(
        {"assay_title": "Histone ChIP-seq", "target.label": assay},
        {"bigWig": ("signal p-value", "fold change over control")},  # the paper's first
    )
    return ASSAYS.get(assay, histone)


def look_up(
    wanted: str | EncodeQuery,
    *,
    key: str,
    file_format: str | None,
    assembly: str | None,
    answers: Answers,
) -> RemoteFile:
    """Ask the portal for one file.

    Parameters
    ----------
    wanted
        A file accession, or what is measured.
    key
        Key of the source in the config, for messages.
    file_format
        As ENCODE spells it (bigWig, tsv, hic, ...); None where any will do (accession only).
    assembly
        As ENCODE spells it; None if unknown (accession only).
    answers
        Where answers come from.

    Raises
    ------
    UserError
        No such file, or not one that can be used here: what it is, or what there is instead.
    """
    if isinstance(wanted, str):
        return _record(wanted, key, file_format, assembly, answers)
    if file_format not in assay_rules(wanted.assay).output_types:
        raise UserError(
            f"{key}: encode.assay {wanted.assay} has no {file_format or 'file'} for this use; give "
            "another assay, or the accession of a file"
        )
    if assembly is None:
        raise UserError(f"{key}: the assembly of genome.name is unknown; set encode.assembly")
    accession = _search(wanted, key, file_format, assembly, answers)
    return _record(accession, key, file_format, assembly, answers)


# --------------------------------------------------------------------------- one record


def _record(
    accession: str, key: str, file_format: str | None, assembly: str | None, answers: Answers
) -> RemoteFile:
    record = answers.json(f"{PORTAL}/files/{accession}/?format=json", key=key)
    if record is None:
        raise UserError(f"{key}: ENCODE has no file {accession}; correct the accession")
    found = _remote_file(record)
    place = f"{key}: ENCODE file {accession}"
    if found.accession != accession:
        log.warning("%s was merged into %s, which is used", place, found.accession)
    if file_format and found.file_format != file_format:
        raise UserError(f"{place} is {found.file_format}, not {file_format}; give another file")
    if assembly and found.assembly and found.assembly != assembly:
        raise UserError(
            f"{place} is on {found.assembly}, but the genome is {assembly}; give the file on "
            f"{assembly}, or change the genome"
        )
    if found.status != "released" and found.status not in _OLD:
        raise UserError(f"{place} is not released (status: {found.status}); give another file")
    if record.get("no_file_available") or record.get("restricted"):
        raise UserError(f"{place} is not open to the public; give another file")
    if not (found.md5 and found.bytes):
        raise UserError(f"{place}: its record has no size or checksum; give the file by url")
    return found


def _remote_file(record: dict[str, Any]) -> RemoteFile:
    cloud = record.get("cloud_metadata") or {}
    return RemoteFile(
        accession=str(record.get("accession", "")),
        # The public bucket spares the portal, and serves parts of a file.
        url=str(cloud.get("url") or f"{PORTAL}{record.get('href', '')}"),
        file_format=str(record.get("file_format", "")),
        bytes=record.get("file_size"),
        md5=record.get("md5sum"),
        assembly=record.get("assembly"),
        output_type=record.get("output_type"),
        status=str(record.get("status", "")),
        experiment=_accession(record.get("dataset")),
        biosample=_part(record.get("biosample_ontology"), "term_name"),
        assay=_part(record.get("target"), "label") or record.get("assay_title"),
        replaced_by=tuple(_accession(new) or "" for new in record.get("superseded_by", ())),
        citation=CITATION,
    )


def _accession(item: Any) -> str | None:
    """Accession of a linked object, which the portal gives whole or as /files/ENCFF000AAA/."""
    if isinstance(item, dict):
        return _part(item, "accession")
    return item.strip("/").rsplit("/", 1)[-1] if isinstance(item, str) else None


def _part(item: Any, name: str) -> str | None:
    return item.get(name) if isinstance(item, dict) else None


def what_is_wrong(found: RemoteFile, place: str) -> str | None:
    """Say that a file is out of date, and what to take instead; None if it is not."""
    if found.status not in _OLD:
        return None
    instead = " or ".join(found.replaced_by)
    remedy = f"use {instead} instead" if instead else "its record names no replacement"
    return f"{place} is {found.status}: {_OLD[found.status]}; {remedy}"


# --------------------------------------------------------------------------- search


def _search(query: EncodeQuery, key: str, file_format: str, assembly: str, answers: Answers) -> str:
    """Find the accession that a query means (rules 1 to 3 of the module)."""
    experiments = _experiments(query, key, answers)
    wanted = f"{query.assay} of {query.biosample!r}"
    if not experiments:
        raise UserError(
            f"{key}: ENCODE has no released experiment {wanted}; check encode.biosample (letters "
            "count as they are), or give a file by accession, url or path"
        )
    usual = assay_rules(query.assay).output_types[file_format]
    output_types = (query.output_type,) if query.output_type else usual
    files = list(_open_files(experiments))
    candidates = [
        file
        for file in files
        if file.get("file_format") == file_format
        and file.get("assembly") == assembly
        and file.get("output_type") in output_types
    ]
    if not candidates:
        raise UserError(
            f"{key}: ENCODE has no released {file_format} ({' or '.join(output_types)}) on "
            f"{assembly} for {wanted}; its {len(experiments)} experiments have "
            f"{_inventory(files, file_format)}; change the query, or give a file by accession, url "
            "or path"
        )
    return str(_best(_small_enough(candidates, key), output_types, key)["accession"])


def _experiments(query: EncodeQuery, key: str, answers: Answers) -> list[dict[str, Any]]:
    parameters: dict[str, str | list[str]] = {
        "type": "Experiment",
        "status": "released",
        "perturbed": "false",
        **assay_rules(query.assay).search,
        "biosample_ontology.term_name": query.biosample,
        "field": ["accession", *(f"files.{name}" for name in _FILE_FIELDS)],
        "limit": "all",
        "format": "json",
    }
    # Where nothing is found the portal answers 404.
    answer = answers.json(address(f"{PORTAL}/search/", **parameters), key=key) or {}
    return list(answer.get("@graph", []))


def _open_files(experiments: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every released, public file once, with the accession of its experiment."""
    seen = set()
    for experiment in experiments:
        for file in experiment.get("files", []):
            hidden = file.get("no_file_available") or file.get("restricted")
            if file["accession"] in seen or file.get("status") != "released" or hidden:
                continue
            seen.add(file["accession"])
            yield file | {"experiment": experiment.get("accession", "")}


def _small_enough(files: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    kept = [
        file
        for file in files
        if file.get("file_format") != "hic" or file.get("file_size", 0) <= HIC_LIMIT
    ]
    for file in files:
        if file not in kept:
            log.info("%s: %s left out: %d bytes", key, file["accession"], file["file_size"])
    if not kept:
        smallest = min(files, key=lambda file: (file["file_size"], file["accession"]))
        raise UserError(
            f"{key}: every contact map of the query is over {HIC_LIMIT / 1e9:.0f} GB (the smallest: "
            f"{smallest['accession']}, {smallest['file_size'] / 1e9:.0f} GB); give the accession "
            "of the one you want, or leave hic out to use the power law"
        )
    return kept


def _best(files: list[dict[str, Any]], output_types: tuple[str, ...], key: str) -> dict[str, Any]:
    """Return the first file in the order of the module's rule 3, and say what came second."""

    def rank(file: dict[str, Any]) -> tuple[int, bool, int]:
        return (
            output_types.index(file["output_type"]),
            not file.get("preferred_default"),
            -len(file.get("biological_replicates") or ()),
        )

    ordered = sorted(files, key=lambda file: str(file["accession"]))
    ordered.sort(key=lambda file: str(file.get("date_created", "")), reverse=True)
    ordered.sort(key=rank)
    best = ordered[0]
    log.info("%s: %s is the first of %d candidates", key, _described(best), len(ordered))
    if len(ordered) > 1:
        second = ordered[1]
        criteria = ("output type", "preferred_default", "replicates")
        differing = [
            name
            for name, mine, other in zip(criteria, rank(best), rank(second), strict=True)
            if mine != other
        ]
        if differing:
            log.info("%s: second by %s: %s", key, differing[0], _described(second))
        else:
            last = "date" if best.get("date_created") != second.get("date_created") else "accession"
            equal = [file["accession"] for file in ordered[1:] if rank(file) == rank(best)]
            log.warning(
                "%s: %s ranks equal with %s and is taken for its %s; give an accession to choose",
                *(key, best["accession"], ", ".join(equal), last),
            )
    return best


def _described(file: dict[str, Any]) -> str:
    replicates = len(file.get("biological_replicates") or ())
    return (
        f"{file['accession']} ({file['output_type']}, {replicates} replicates, of "
        f"{str(file.get('date_created', '?'))[:10]}, experiment {file['experiment']})"
    )


def _inventory(files: list[dict[str, Any]], file_format: str) -> str:
    """Count what there is: the wanted format by assembly and output type, the others by format."""
    counts = Counter(
        f"{file_format} {file.get('output_type')} on {file.get('assembly')}"
        if file.get("file_format") == file_format
        else str(file.get("file_format"))
        for file in files
    )
    return ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "no public file"
