"""Genes: how many are kept, dropped and in which split, and how much of their windows is known."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.compare import Promoters
from seq2exp.schemas import N_FRACTION, SPLITS, fold_column, label_column

ITEM = "genes"
FEWEST_TESTED = 30
"""Genes of a split with fewer of which a correlation says little."""
MUCH_N = 0.1
MANY_GENES = 0.1


def note_genes(checkup: Checkup, genes: pd.DataFrame, dropped: pd.DataFrame) -> None:
    """Count genes that are kept and dropped, with the reason, and the N in their windows.

    Parameters
    ----------
    checkup
        Gets ``kept``, one ``dropped: reason`` a reason, ``n_mean`` and ``n_max`` (shares of N and
        of bases off the chromosome).
    genes, dropped
        ``genes.tsv`` and ``genes_dropped.tsv`` of the reference.
    """
    checkup.note(ITEM, kept=len(genes))
    for reason, count in dropped["reason"].value_counts().items():
        checkup.note(ITEM, **{f"dropped: {reason}": int(count)})
    if N_FRACTION not in genes or genes.empty:
        return
    shares = genes[N_FRACTION].to_numpy()
    checkup.note(ITEM, n_mean=float(shares.mean()), n_max=float(shares.max()))
    much = shares > MUCH_N
    if much.mean() > MANY_GENES:
        where = genes["chrom"][much].value_counts()
        checkup.say(
            "hint",
            ITEM,
            f"{much.sum()} genes have more than {MUCH_N:.0%} N around the TSS, most on "
            f"{where.index[0]} ({where.iloc[0]}); window.max_n_fraction drops such genes",
        )


def note_splits(
    checkup: Checkup, promoters: Promoters, folds: pd.DataFrame, runs: Sequence[int]
) -> None:
    """Count the genes with a label in each split of each fold that is run.

    Parameters
    ----------
    checkup
        Gets ``{assay}`` figures ``fold1 train``, ``fold1 valid``, ...
    promoters
        Of the same cell line.
    folds, runs
        ``folds.tsv``, and the folds that are run.
    """
    for assay in promoters.assays():
        known = promoters.table[["gene_id", label_column(assay)]].dropna()
        splits = known.merge(folds, on="gene_id")
        for fold in runs:
            counts = splits[fold_column(fold)].value_counts()
            for name in SPLITS:
                count = int(counts.get(name, 0))
                checkup.note(assay, **{f"fold{fold} {name}": count})
                if count == 0:
                    checkup.say(
                        "error",
                        assay,
                        f"fold {fold}: no gene of {name} has a label; change folds or the labels",
                    )
                elif count < FEWEST_TESTED:
                    checkup.say(
                        "warning",
                        assay,
                        f"fold {fold}: only {count} genes of {name} have a label, too few to rely on",
                    )
