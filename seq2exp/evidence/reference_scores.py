"""One run against reference regions: enrichment of its regions, and its mask beside peaks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seq2exp.evidence.enrichment import enrichment
from seq2exp.evidence.equal_bases import PEAKS, equal_bases
from seq2exp.evidence.outputs import write_run_figures
from seq2exp.evidence.references import ReferenceInputs, read_peaks, read_regions
from seq2exp.masks import masked_test_genes, open_masks
from seq2exp.regions import read_elements
from seq2exp.schemas import write_table
from seq2exp.store import open_store


def write_reference_scores(
    *,
    elements: Path,
    masks_dir: Path,
    store_dir: Path,
    predictions: Path,
    references: Mapping[str, ReferenceInputs],
    peaks: Path | None,
    out_enrichment: Path,
    out_equal: Path,
    out_figures: Path,
) -> None:
    """Hold regions and masks of a run's test genes against reference regions.

    Parameters
    ----------
    elements, masks_dir, store_dir, predictions
        elements.bed.gz, mask store, window store and predictions.tsv of the run.
    references
        Sets of regions by name.
    peaks
        Peaks of the cell line, where there are any: a reference too, under the name ``peaks``, and
        what the mask is compared with at equal numbers of bases.
    out_enrichment, out_equal
        Tables of :func:`seq2exp.evidence.enrichment.enrichment` and
        :func:`seq2exp.evidence.equal_bases.equal_bases`; the second is empty without peaks.
    out_figures
        JSON: the run, and the fold of each reference.
    """
    store, masks = open_store(store_dir), open_masks(masks_dir)
    test = masked_test_genes(predictions, masks)
    chroms = set(store.genes["chrom"])
    sets = {name: read_regions(inputs, chroms) for name, inputs in references.items()}
    called = read_elements(elements)
    promoter_length = int(masks.meta["promoter_length"])
    own_peaks = {} if peaks is None else {PEAKS: read_peaks(peaks, chroms)}
    found = enrichment(
        called[called["gene_id"].isin(test)],
        store,
        sets | own_peaks,
        window_length=masks.length,
        promoter_length=promoter_length,
    )
    equal = equal_bases(
        store,
        masks,
        own_peaks.get(PEAKS, called.head(0)),
        sets,
        [gene_id for gene_id in masks.gene_ids if gene_id in test],
        promoter_length=promoter_length,
    )
    write_table(found, out_enrichment)
    write_table(equal, out_equal)
    folds = zip(found["reference"], found["fold"], strict=True)
    write_run_figures(out_figures, masks.meta, {f"fold_{name}": fold for name, fold in folds})
