"""Labels: how many genes have one, how they are distributed, whether they go with the tracks."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from seq2exp.doctor.checkup import Checkup
from seq2exp.expression import LabelInputs, Labels

LOW_RHO = 0.3
"""Spearman r of a label with a promoter signal below which the two are not of the same place.

Measured on K562 and GM12878 (hg19, chr20 and chr22, 715 genes, CAGE and RNA): .70 to .85 with
their own tracks, .59 to .74 with those of the other cell line; with tracks that are 10 kb off
.28 at most, 100 kb off .10 at most.
"""
FEWEST_GENES = 30
"""Genes without which a correlation says nothing: its standard error is about 1 / sqrt(n)."""
FEW_LABELS = 0.5
MANY_ZEROS = 0.8
LOGGED_BELOW = 20.0
"""No sequencing depth has a largest RPKM, TPM or count this small among hundreds of genes."""
RAW_ABOVE = 40.0
"""A log2 of anything that is counted is smaller."""


def note_labels(checkup: Checkup, assay: str, labels: Labels, inputs: LabelInputs) -> None:
    """Take the figures of an assay's labels, and find what is odd about them.

    Parameters
    ----------
    checkup
        Gets ``genes`` (with a label), ``lacking`` (reasons with counts), and of the labels after
        the transform ``zero`` (share), ``min``, ``median``, ``q999``, ``max``.
    assay
        Name of the item.
    labels, inputs
        What was read, and how.
    """
    known = labels.per_gene[~np.isnan(labels.per_gene)]
    reasons = "; ".join(f"{reason}: {count}" for reason, count in labels.lacking.items())
    checkup.note(assay, genes=len(known), lacking=reasons or "none")
    if len(known):
        median, q999 = np.quantile(known, [0.5, 0.999])
        checkup.note(
            assay,
            zero=float((known == 0).mean()),
            min=float(known.min()),
            median=float(median),
            q999=float(q999),
            max=float(known.max()),
        )
    if len(known) < FEW_LABELS * len(labels.per_gene):
        checkup.say(
            "warning",
            assay,
            f"only {len(known)} of {len(labels.per_gene)} genes have a label ({reasons}); are "
            "id_column and id_kind right, and is the table of this annotation?",
        )
    _judge_values(checkup, assay, known, inputs)


def _judge_values(checkup: Checkup, assay: str, known: np.ndarray, inputs: LabelInputs) -> None:
    if not len(known) or known.min() == known.max():
        value = f"all are {known[0]:.4g}" if len(known) else "there is none"
        checkup.say("error", assay, f"nothing to learn from: {value}; give other tracks or columns")
        return
    zeros = (known == 0).mean()
    if zeros > MANY_ZEROS:
        checkup.say(
            "warning",
            assay,
            f"{zeros:.0%} of the labels are 0; are the tracks those of this assembly, and is span "
            "wide enough?",
        )
    logged = inputs.transform == "log10_1p"
    largest = float(10 ** known.max() - 1 if logged else known.max())
    if logged and largest < LOGGED_BELOW and len(known) >= FEWEST_GENES:
        checkup.say(
            "warning",
            assay,
            f"the largest value is {largest:.4g}, small for counts; if these are logarithms already, "
            "set transform: none",
        )
    if not logged and largest > RAW_ABOVE:
        checkup.say(
            "warning",
            assay,
            f"the largest value is {largest:.4g}, large for a logarithm; set transform: log10_1p",
        )


def note_correlations(
    checkup: Checkup, assay: str, labels: np.ndarray, promoters: dict[str, np.ndarray]
) -> None:
    """Correlate labels with the signals of promoters.

    Parameters
    ----------
    checkup
        Gets ``rho_h3k27ac`` and ``rho_dnase``, Spearman's r over the genes with a label.
    assay
        Name of the item.
    labels
        (genes,), NaN where there is none.
    promoters
        Signal -> mean over [tss - 500, tss + 500), (genes,).
    """
    known = ~np.isnan(labels)
    if not promoters:
        return
    if known.sum() < FEWEST_GENES:
        checkup.say(
            "hint",
            assay,
            f"{known.sum()} genes are too few to tell whether labels and tracks belong together",
        )
        return
    low = {}
    for signal, means in promoters.items():
        rho = spearman(labels[known], means[known])
        checkup.note(assay, **{f"rho_{signal}": rho})
        if not rho >= LOW_RHO:
            low[signal] = rho
    if low:
        shown = ", ".join(f"{signal} {round(rho, 2) + 0:.2f}" for signal, rho in low.items())
        who = "labels and tracks" if len(low) == len(promoters) else f"labels and {next(iter(low))}"
        checkup.say(
            "warning",
            assay,
            f"expression hardly goes with the signal at promoters (Spearman r: {shown}; usual is .6 "
            f"to .85): {who} are probably of different assemblies or cell lines, or the TSSs are of "
            "another assembly; check where each file comes from",
        )


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of the two is constant."""
    if x.min() == x.max() or y.min() == y.max():
        return 0.0
    return float(spearmanr(x, y).statistic)
