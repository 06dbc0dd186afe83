"""Example loci of one run as a page with igv.js, in one file that needs no network.

Program, sequence and tracks are in the page. igv.js comes with the package igv-notebook, of which
nothing else is used.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from seq2exp.browser.colours import rgb
from seq2exp.browser.links import links_table, read_effects
from seq2exp.figures.style import BLACK, COLOURS, GREY, NAMES
from seq2exp.loci import SIGNALS, Locus, LocusInputs, bin_means, example_loci
from seq2exp.reference import read_chrom_sizes
from seq2exp.schemas import whole_file

_DATA = files("seq2exp") / "data"
_IGV, _PROGRAM = "igv-notebook", "igv_notebook/js/igv.iife.js"
POINTS = 10_000
"""Values of a track in the page; longer windows are averaged in bins."""
TEXT = (
    "Test genes at even steps of observed expression, not picked by how well they came out. Signals are "
    "what the model read; the mask is how much of each base it used, 1 on the promoter; its parts are "
    "what the sequence and what the signals alone say. Arcs go from called elements to the promoter; "
    "the darker an element, the stronger. A mask says what a model leans on, not what regulates the gene. Click on "
    "a row to see another locus, and into the ruler to zoom."
)


def write_igv_page(
    inputs: LocusInputs,
    count: int,
    *,
    chrom_sizes: Path,
    genome: str,
    title: str,
    out: Path,
    element_scores: Path | None = None,
) -> None:
    """Write the page.

    Parameters
    ----------
    inputs, count
        What is read, and how many loci are shown, fewer where there are fewer; see :func:`seq2exp.loci.example_loci`.
    chrom_sizes
        Length of each chromosome, in two columns.
    genome
        Its name.
    title
        What was trained on what.
    out
        The page, HTML.
    element_scores
        element_scores.tsv of the run; with it arcs are coloured by effect.
    """
    sizes = read_chrom_sizes(chrom_sizes)
    loci = [
        _locus(locus, sizes, element_scores) for locus in example_loci(inputs, count, or_fewer=True)
    ]
    data = json.dumps({"genome": genome, "loci": loci}, separators=(",", ":"), allow_nan=False)
    page = Template((_DATA / "igv_page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        text=html.escape(TEXT),
        igv=igv_program(),
        data=data.replace("</", "<\\/"),  # text of the data must not end the script element
    )
    with whole_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def igv_program() -> str:
    """Return igv.js, to stand in a script element."""
    # Found without an import: the package would look for a notebook.
    program = Path(str(metadata.distribution(_IGV).locate_file(_PROGRAM))).read_text("utf-8")
    assert "</script" not in program.lower()
    return program


def _locus(locus: Locus, sizes: Mapping[str, int], element_scores: Path | None) -> dict[str, Any]:
    """What the page shows of one gene: the row of the table, the sequence, the tracks."""
    gene = locus.gene
    start, end = max(locus.start, 0), min(locus.end, sizes[gene.chrom])
    names = [name for name in (*SIGNALS, "mask", "sequence_part", "prior") if name in locus.tracks]
    return {
        "locus": f"{gene.chrom}:{start + 1}-{end}",
        "row": [
            f"{gene.gene_name} ({gene.strand})",
            f"{gene.chrom}:{start + 1:,}-{end:,}",
            f"{gene.observed:.2f}",
            f"{gene.predicted:.2f}",
            str(len(locus.regions)),
        ],
        "fasta": _fasta(locus, start, end, sizes[gene.chrom]),
        "tracks": [
            _genes(locus),
            *(_signal(locus, name, start, end) for name in names),
            *_called(locus, sizes, element_scores),
            *_known(locus),
        ],
    }


def _fasta(locus: Locus, start: int, end: int, chromosome_length: int) -> str:
    """Return the window's sequence as an address that igv.js reads, without the rest around it."""
    bases = locus.bases[start - locus.start : end - locus.start]
    place = f"{locus.gene.chrom}:{start + 1}-{end}"
    text = f">{place} @len={chromosome_length}\n{bases}\n"
    packed = gzip.compress(text.encode("ascii"), mtime=0)
    return "data:application/gzip;base64," + base64.b64encode(packed).decode("ascii")


def _signal(locus: Locus, name: str, start: int, end: int) -> dict[str, Any]:
    """Means of a track over bins of equal length; four digits are enough for the eye."""
    values = locus.tracks[name][start - locus.start : end - locus.start]
    step = -(-len(values) // POINTS)
    settings: dict[str, Any] = {"autoscale": True}
    if name not in SIGNALS:
        settings = {"min": 0, "max": 1}
    return {
        "type": "wig",
        "name": NAMES[name],
        "height": 60,
        "color": f"rgb({rgb(COLOURS[name])})",
        **settings,
        "signal": {
            "chr": locus.gene.chrom,
            "start": start,
            "end": end,
            "step": step,
            "values": [float(f"{mean:.4g}") for mean in bin_means(values, step)],
        },
    }


def _annotation(name: str, features: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "annotation",
        "name": name,
        "displayMode": "EXPANDED",
        "height": 40,
        "autoHeight": True,
        "features": features,
    }


def _genes(locus: Locus) -> dict[str, Any]:
    """Promoters of the genes that start in the window; the locus' own in black."""
    half = (locus.promoter[1] - locus.promoter[0]) // 2
    genes: Iterator[Any] = locus.genes.itertuples()
    return _annotation(
        "promoters",
        [
            {
                "chr": locus.gene.chrom,
                "start": max(gene.tss - half, 0),
                "end": gene.tss + half,
                "name": gene.gene_name or gene.gene_id,
                "strand": gene.strand,
                "color": BLACK if gene.gene_id == locus.gene.gene_id else GREY,
            }
            for gene in genes
        ],
    )


def _called(
    locus: Locus, sizes: Mapping[str, int], element_scores: Path | None
) -> Iterator[dict[str, Any]]:
    """Called elements, and their links to the promoter."""
    effects = None if element_scores is None else read_effects(element_scores, locus.regions)
    gene = pd.DataFrame([locus.gene._asdict()])
    length = locus.promoter[1] - locus.promoter[0]
    links = links_table(locus.regions, gene, sizes, length, effects)
    rows: Iterator[Any] = links.itertuples()
    features = [
        {
            **{"chr": link.chrom, "start": link.chromStart, "end": link.chromEnd},
            **{"chr1": link.chrom, "start1": link.sourceStart, "end1": link.sourceEnd},
            **{"chr2": link.chrom, "start2": link.targetStart, "end2": link.targetEnd},
            **{"name": link.name, "score": link.score, "value": float(link.value)},
            "color": f"rgb({link.color})",
        }
        for link in rows
    ]
    yield _annotation("elements", _places(locus.regions, [f"rgb({c})" for c in links["color"]]))
    yield {
        "type": "interact",
        "name": "element to promoter",
        "height": 80,
        "arcType": "nested",
        "arcOrientation": False,
        "features": features,
    }


def _known(locus: Locus) -> Iterator[dict[str, Any]]:
    """Peaks and reference regions, tested pairs, planted elements."""
    for name, places in locus.references.items():
        yield _annotation(NAMES.get(name, name), _places(places, [COLOURS["peaks"]] * len(places)))
    if locus.tested is not None:
        regulated = locus.tested["regulated"].tolist()
        colours = [COLOURS["active"] if found else GREY for found in regulated]
        names = ["regulates" if found else "does not" for found in regulated]
        yield _annotation(f"CRISPRi, {locus.gene.gene_name}", _places(locus.tested, colours, names))
    if locus.planted is not None:
        kinds = locus.planted["kind"].tolist()
        colours = [COLOURS[kind] for kind in kinds]
        yield _annotation("planted", _places(locus.planted, colours, kinds))


def _places(
    table: pd.DataFrame, colours: list[str], names: list[str] | None = None
) -> list[dict[str, Any]]:
    if names is None:
        names = table["name"].tolist() if "name" in table else [""] * len(table)
    rows = zip(table["chrom"], table["start"], table["end"], colours, names, strict=True)
    return [
        {"chr": chrom, "start": int(start), "end": int(end), "color": colour}
        | ({"name": name} if name else {})
        for chrom, start, end, colour, name in rows
    ]
