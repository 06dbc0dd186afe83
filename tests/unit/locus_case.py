"""A run on the toy genome whose loci are shown: genes at both ends of chr1 and in its middle."""

import numpy as np
import pandas as pd

from seq2exp.evidence.references import ReferenceInputs
from seq2exp.loci import LocusInputs
from seq2exp.masks import write_masks
from seq2exp.schemas import ELEMENT_COLUMNS

LENGTH = 2_000
GENES = ["G1", "G4", "G5", "G7"]
RAMP = np.linspace(0, 1, LENGTH).astype(np.float16)

PREDICTIONS = pd.DataFrame(
    {
        "gene_id": ["G1", "G4", "G5", "G7", "G8"],
        "gene_name": ["g1", "g4", "g5", "g7", "g8"],
        "chrom": ["chr1", "chr1", "chr1", "chr2", "chr3"],
        "tss": [300, 6_000, 8_000, 4_000, 5_050],
        "strand": ["+", "-", "+", "+", "+"],
        "split": ["test", "test", "test", "train", "test"],
        "observed": [1.0, 2.0, 3.0, 100.0, 2.0],
        "predicted": [2.0, 1.0, 3.0, -100.0, 2.0],
        "mask_ratio": [0.2, 0.4, 0.6, 0.99, 0.5],
    }
)
ELEMENTS = pd.DataFrame(
    [
        ("chr1", 5_100, 5_220, "g4|G4:1", 500, ".", "G4", "g4", 840, 0.5),
        ("chr1", 8_200, 8_300, "g5|G5:1", 250, ".", "G5", "g5", 250, 0.25),
    ],
    columns=list(ELEMENT_COLUMNS),
)


def write_locus_case(folder, store_dir, **extras):
    """Write masks, predictions and elements; ``extras`` of `LocusInputs` as they are."""
    masks = {"mask": np.tile(RAMP, (4, 1)), "prior": np.tile(1 - RAMP, (4, 1))}
    write_masks(folder / "masks", GENES, masks)
    PREDICTIONS.to_csv(folder / "predictions.tsv", sep="\t", index=False)
    ELEMENTS.rename(columns={"chrom": "#chrom"}).to_csv(
        folder / "elements.bed.gz", sep="\t", index=False
    )
    return LocusInputs(
        masks=folder / "masks",
        store=store_dir,
        predictions=folder / "predictions.tsv",
        regions=folder / "elements.bed.gz",
        **extras,
    )


def known_places(toy, folder):
    """All else that may be known of the windows: planted elements, peaks, references, a screen."""
    (folder / "truth.bed").write_text(
        "chr1\t5100\t5220\tE1\t900\t.\tactive\tToy\tT\t8\n"
        "chr1\t6500\t6600\tE2\t0\t.\tdecoy\tToy\t.\t0\n"
        "chr1\t8500\t8600\tE3\t0\t.\tdecoy\tToy\t.\t0\n"
    )
    (folder / "ccres.bed").write_text(
        "1\t4990\t5001\tx\nchr1\t6990\t7100\ty\nchr1\t7000\t7010\tz\n"
    )
    (folder / "screen.tsv").write_text(
        "chrom\tstart\tend\tgene_name\tgene_tss\tcell_line\tregulated\n"
        "chr1\t5100\t5200\tg4\t6000\ttoy\tTRUE\n"
        "chr1\t6600\t6700\tg4\t6000\ttoy\tFALSE\n"
        "chr1\t6650\t6750\tg5\t8000\ttoy\tTRUE\n"
        "chr1\t100\t200\tg4\t6000\ttoy\tTRUE\n"
    )
    return {
        "planted": folder / "truth.bed",
        "peaks": toy.path("peaks.narrowPeak"),
        "references": {"ccres": ReferenceInputs(folder / "ccres.bed")},
        "crispri": folder / "screen.tsv",
        "cell_type": "toy",
    }
