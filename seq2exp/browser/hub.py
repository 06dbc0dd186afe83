"""A UCSC track hub of all runs: a folder that any web server can give to a genome browser."""

from __future__ import annotations

import html
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyBigWig

from seq2exp import __version__
from seq2exp.browser.assemblies import ucsc_name
from seq2exp.browser.hub_check import hub_problems
from seq2exp.browser.hub_tracks import HubRun, hub_tracks, signal_place, track_name
from seq2exp.browser.stanzas import Stanza, write_stanzas
from seq2exp.browser.twobit import write_twobit
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of
from seq2exp.reference import read_chrom_sizes
from seq2exp.regions import read_elements
from seq2exp.schemas import whole_folder

log = logging.getLogger(__name__)

AROUND = 5_000
"""bp to both sides of the element where the browser opens a genome of one's own."""


def write_hub(
    out: Path,
    *,
    name: str,
    email: str,
    genome: str,
    runs: Sequence[HubRun],
    signals: Mapping[str, Mapping[str, Path]],
    chrom_sizes: Path,
    fasta: Path,
) -> None:
    """Write hub.txt, which says all of the hub, and the files that it names.

    Files are hard links where the file system allows it, copies elsewhere. The hub of a genome that
    UCSC does not have brings its sequence along (an assembly hub).

    Parameters
    ----------
    out
        The hub's folder; an older hub there is replaced when this one is whole.
    name, email
        What the hub is called, and whom to ask.
    genome
        ``genome.name`` of the config.
    runs
        Runs with regions, in the order of the config.
    signals
        Cell line -> assay -> bigWig. Those whose chromosomes have other names or lengths than the
        genome's are left out, aloud: a browser would show nothing of them.
    chrom_sizes, fasta
        Of the genome.

    Raises
    ------
    UserError
        A browser could not show the hub: names the first thing that is wrong.
    """
    sizes = read_chrom_sizes(chrom_sizes)
    shown = {cell_line: _usable(files, sizes) for cell_line, files in signals.items()}
    assembly = ucsc_name(genome)
    folder = assembly or genome
    with whole_folder(out, ["hub.txt", folder, ".snakemake_timestamp"]) as hub:
        (hub / folder).mkdir()
        for place, file in _files(runs, shown):
            _link(file, hub / folder / place)
        about = f"{folder}/about.html"
        (hub / about).write_text(_about(name, runs), encoding="utf-8")
        stanza: Stanza = {"genome": folder}
        if assembly is None:
            write_twobit(fasta, hub / folder / "genome.2bit")
            stanza = {**stanza, **_assembly(folder, runs, sizes), "htmlPath": about}
        stanzas = [_hub_stanza(name, email, about), stanza, *hub_tracks(runs, shown, folder)]
        write_stanzas(stanzas, hub / "hub.txt")
        problems = hub_problems(hub, sizes)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UserError(f"{out}: {problems[0]}{more}; correct it, or set browser.hub: false")


def _hub_stanza(name: str, email: str, about: str) -> Stanza:
    return {
        "hub": track_name(name),
        "shortLabel": name,
        "longLabel": f"{name}: regulatory elements by seq2exp {__version__}",
        "useOneFile": "on",
        "email": email,
        "descriptionUrl": about,
    }


def _assembly(genome: str, runs: Sequence[HubRun], sizes: Mapping[str, int]) -> dict[str, str]:
    """What hub.txt says of a genome that it brings along; the browser opens it at an element."""
    chrom, start, end = next(iter(sizes)), 0, 2 * AROUND
    for run in runs:
        elements = read_elements(run.folder / "elements.bed.gz")
        if len(elements):
            chrom = str(elements["chrom"].iloc[0])
            start, end = elements[["start", "end"]].to_numpy(int)[0]
            break
    first, last = max(start - AROUND, 0) + 1, min(end + AROUND, sizes[chrom])
    return {
        "twoBitPath": f"{genome}/genome.2bit",
        "organism": genome,
        "scientificName": genome,
        "description": genome,
        "defaultPos": f"{chrom}:{first}-{last}",
    }


def _files(
    runs: Sequence[HubRun], signals: Mapping[str, Mapping[str, Path]]
) -> Iterator[tuple[str, Path]]:
    for run in runs:
        yield from run.files().items()
    for cell_line, files in signals.items():
        for assay, file in files.items():
            yield signal_place(cell_line, assay), file


def _link(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(file), place)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(file, place)


def _usable(files: Mapping[str, Path], sizes: Mapping[str, int]) -> dict[str, Path]:
    """Bigwigs that a browser can show on this genome."""
    usable = {}
    for assay, file in files.items():
        found = {}
        if kind_of(file) == "bigWig":
            with pyBigWig.open(str(file)) as bigwig:
                found = bigwig.chroms()
        if any(found.get(chrom) == length for chrom, length in sizes.items()):
            usable[assay] = file
        else:
            log.warning("%s: left out of the hub: no chromosome of the genome by name", file)
    return usable


def _about(name: str, runs: Sequence[HubRun]) -> str:
    """The page behind the hub's name."""
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in run[:5]) + "</tr>\n"
        for run in runs
    )
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{html.escape(name)}</title>'
        f"</head><body>\n<h2>{html.escape(name)}</h2>\n"
        "<p>Masks: how much of each base a model reads, 0 to 1; where windows of several genes "
        "overlap, the largest. Elements: what was called from them, once for each gene whose window "
        "it was called from. Links: each element with the promoter of this gene. A mask says what a "
        "model leans on, not what regulates the gene.</p>\n"
        "<table><tr><th>cell line</th><th>assay</th><th>model</th><th>fold</th><th>seed</th></tr>\n"
        f"{rows}</table>\n</body></html>\n"
    )
