"""One run's called regions against motifs of transcription factors."""

from __future__ import annotations

from pathlib import Path

from seq2exp.evidence.motif_files import read_motifs
from seq2exp.evidence.motifs import motif_enrichment
from seq2exp.masks import masked_test_genes, open_masks
from seq2exp.regions import read_elements
from seq2exp.schemas import write_table
from seq2exp.store import open_store


def write_motif_scores(
    *,
    elements: Path,
    masks_dir: Path,
    store_dir: Path,
    predictions: Path,
    motifs: Path,
    max_regions: int,
    out_table: Path,
) -> None:
    """Look for motifs in the called regions of a run's test genes.

    Parameters
    ----------
    elements, masks_dir, store_dir, predictions
        elements.bed.gz, mask store, window store and predictions.tsv of the run.
    motifs
        Of :func:`seq2exp.evidence.motif_files.read_motifs`.
    max_regions
        Those with the highest mean mask are looked at.
    out_table
        The table of :func:`seq2exp.evidence.motifs.motif_enrichment`.

    Raises
    ------
    UserError
        ``motifs`` has none.
    """
    store, masks = open_store(store_dir), open_masks(masks_dir)
    test = masked_test_genes(predictions, masks)
    called = read_elements(elements)
    found = motif_enrichment(
        *(called[called["gene_id"].isin(test)], store, sorted(test), read_motifs(motifs)),
        window_length=masks.length,
        promoter_length=int(masks.meta["promoter_length"]),
        max_regions=max_regions,
    )
    write_table(found, out_table)
