"""Contact maps: what they cover, and whether their contacts have the size of counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seq2exp.config import PowerLaw
from seq2exp.contacts import ContactMap, tss_contacts
from seq2exp.doctor.checkup import Checkup
from seq2exp.reference import match_chromosome

ITEM = "hic"
MOST_GENES = 50
SMALLEST_CONTACT = 1.0
"""A TSS's bin has more contacts than this with itself unless the balancing has shrunk them."""
MANY_EMPTY = 0.2


def note_contacts(
    checkup: Checkup, contact_map: ContactMap, genes: pd.DataFrame, reach: int
) -> None:
    """Take the figures of a contact map around some genes.

    Parameters
    ----------
    checkup
        Gets ``chromosomes``, ``missing``, ``genes_read``, ``contact_at_tss`` (median contact of the
        TSS's own bin with itself), ``no_contacts`` (share of the genes read).
    contact_map
        Open; the assembly has been checked.
    genes
        ``chrom``, ``tss``.
    reach
        bp on both sides of the TSS.
    """
    names = {chrom: match_chromosome(chrom, contact_map.sizes) for chrom in genes["chrom"].unique()}
    lacking = [chrom for chrom, name in names.items() if name is None]
    covered = genes[~genes["chrom"].isin(lacking)]
    checkup.note(
        ITEM,
        chromosomes=f"{len(names) - len(lacking)}/{len(names)}",
        missing=",".join(lacking) or "none",
    )
    rows = np.linspace(0, len(covered) - 1, min(len(covered), MOST_GENES)).astype(int)
    own, empty = [], []
    for chrom, tss in covered[["chrom", "tss"]].iloc[rows].itertuples(index=False):
        start = int(tss) - reach
        values, size = tss_contacts(
            *(chrom, int(tss), start, int(tss) + reach),
            contact_map=contact_map,
            power_law=PowerLaw(),
        )
        own.append(10.0 ** float(values[int(tss) // size - start // size]) - 1)
        empty.append(not values.any())
    if not own:
        return
    at_tss = float(np.median(own))
    checkup.note(
        ITEM, genes_read=len(own), contact_at_tss=at_tss, no_contacts=float(np.mean(empty))
    )
    _judge(checkup, contact_map, at_tss, float(np.mean(empty)), len(own))


def _judge(
    checkup: Checkup, contact_map: ContactMap, at_tss: float, empty: float, genes: int
) -> None:
    if at_tss < SMALLEST_CONTACT:
        checkup.say(
            "warning",
            ITEM,
            f"the contact of a TSS with itself is {at_tss:.3g}: log10(1 + contact) is next to "
            f"nothing with normalization {contact_map.normalization}; use VC or KR of a .hic file, "
            "or NONE",
        )
    if empty > MANY_EMPTY:
        checkup.say(
            "warning",
            ITEM,
            f"{empty:.0%} of {genes} genes have no contact at all; use a deeper map, a "
            "larger resolution, or leave hic out",
        )
