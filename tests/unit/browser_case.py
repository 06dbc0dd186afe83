"""Four genes on two chromosomes whose windows overlap and reach over the ends, on both strands.

Windows are 200 bp, promoters 20. A and B share chr1:130-250; C's window is cut at the end of chr1, D's
at the start of chr2.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyBigWig

from seq2exp.browser.elements import export_elements
from seq2exp.browser.links import export_links
from seq2exp.evaluation_config import RegionsConfig
from seq2exp.masks import write_masks
from seq2exp.regions import export_bigwig, export_regions

SIZES = {"chr1": 1_000, "chr2": 300, "chr3": 50}
LENGTH, PROMOTER = 200, 20
GENES = pd.DataFrame(
    [
        ("gA", "A", "chr1", 150, "+"),
        ("gB", "B", "chr1", 230, "-"),
        ("gC", "C", "chr1", 950, "+"),
        ("gD", "D", "chr2", 40, "-"),
    ],
    columns=["gene_id", "gene_name", "chrom", "tss", "strand"],
)
REGIONS = RegionsConfig(select="value", threshold=0.5, merge_gap=0, min_length=5)
# Where each gene's element is, its mask there, and what the sequence alone says.
CALLED = {
    "gA": (200, 240, 0.75),
    "gB": (180, 210, 0.875),
    "gC": (980, 1_000, 0.625),
    "gD": (0, 20, 0.75),
}
SEQUENCE = {"gA": 0.5, "gB": 0.25, "gC": 0.125, "gD": 0.5}
ELEMENTS = [
    # chrom, start, end, name, score, strand, gene_id, gene_name, distance to the TSS, mean mask
    ("chr1", 180, 210, "B|gB:1", 875, ".", "gB", "B", 35, 0.875),
    ("chr1", 200, 240, "A|gA:1", 750, ".", "gA", "A", 70, 0.75),
    ("chr1", 980, 1_000, "C|gC:1", 625, ".", "gC", "C", 40, 0.625),
    ("chr2", 0, 20, "D|gD:1", 750, ".", "gD", "D", 30, 0.75),
]  # fmt: skip


def masks():
    """Mask, sequence part and prior of every gene, (4, LENGTH)."""
    mask, sequence = np.full((4, LENGTH), 0.25), np.zeros((4, LENGTH))
    for row, (gene_id, tss) in enumerate(zip(GENES["gene_id"], GENES["tss"], strict=True)):
        first = tss - LENGTH // 2
        mask[row, LENGTH // 2 - PROMOTER // 2 : LENGTH // 2 + PROMOTER // 2] = 1
        start, end, value = CALLED[gene_id]
        mask[row, start - first : end - first] = value
        sequence[row, start - first : end - first] = SEQUENCE[gene_id]
    return {"mask": mask, "sequence_part": sequence, "prior": np.full((4, LENGTH), 0.125)}


def write_case(folder):
    """Write the stores of the case and all that is made of them for browsers; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    case = SimpleNamespace(folder=folder, masks=folder / "masks", sizes=folder / "chrom.sizes")
    case.predictions = folder / "predictions.tsv"
    write_masks(case.masks, GENES["gene_id"].tolist(), masks(), meta={"promoter_length": PROMOTER})
    GENES.to_csv(case.predictions, sep="\t", index=False)
    case.sizes.write_text("".join(f"{name}\t{size}\n" for name, size in SIZES.items()))
    export_regions(
        case.masks,
        case.predictions,
        case.sizes,
        regions=REGIONS,
        out_bed_gz=folder / "elements.bed.gz",
        out_tbi=folder / "elements.bed.gz.tbi",
        out_narrowpeak=folder / "elements.narrowPeak",
        out_bigwig=folder / "mask.bw",
    )
    for track in ("sequence_part", "prior"):
        out = folder / f"{track}.bw"
        export_bigwig(case.masks, case.predictions, case.sizes, track=track, out=out)
    export_elements(folder / "elements.bed.gz", case.sizes, out=folder / "elements.bb")
    write_links(case)
    return case


def write_links(case, scores=None):
    """Write links.bb of the case."""
    export_links(
        case.folder / "elements.bed.gz",
        case.predictions,
        case.sizes,
        promoter_length=PROMOTER,
        out=case.folder / "links.bb",
        element_scores=scores,
    )


def bigbed_rows(path):
    """Rows of a bigBed as text, read with pyBigWig."""
    with pyBigWig.open(str(path)) as bigbed:
        return [
            (chrom, str(start), str(end), *rest.split("\t"))
            for chrom, size in sorted(bigbed.chroms().items())
            for start, end, rest in bigbed.entries(chrom, 0, size) or ()
        ]
