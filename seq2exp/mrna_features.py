"""The eight mRNA features of a transcript, as in Xpresso and EPInformer.

Source: Agarwal and Shendure 2020 and their scripts (github.com/vagarwal87/Xpresso: what is counted,
log10(length + 0.1)); EPInformer's tables hold the same numbers, under the names that the paper took
over. What Xpresso's text calls ORF exon junction density is in both the number of coding exons per
kb: 4.49 for the 4 exons and 897 bp of SLC25A5, 1.01 for the single one of MC4R.

Here lengths are exact. Xpresso's lack the last base of every exon and the stop codon, so that its
genes without introns have 5 bp of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyfaidx

from seq2exp.gtf import Transcript
from seq2exp.schemas import MRNA_FEATURES

LENGTHS = ("UTR5LEN", "CDSLEN", "INTRONLEN", "UTR3LEN")
"""In bp, as :func:`transcript_features` gives them; z-scored by :func:`standardise_lengths`."""
SHIFT = 0.1
"""bp added before the logarithm."""


def transcript_features(transcript: Transcript, sequence: pyfaidx.FastaRecord) -> dict[str, float]:
    """Measure one transcript.

    Parameters
    ----------
    transcript
        With exons; without CDS its UTR and CDS lengths, GC and density are 0.
    sequence
        Its chromosome.

    Returns
    -------
    dict
        ``UTR5LEN``, ``CDSLEN`` (with stop codon), ``UTR3LEN``: exonic bp. ``INTRONLEN``: bp between
        the exons, summed. ``UTR5GC``, ``CDSGC``, ``UTR3GC``: share of G and C among known bases, 0
        where there are none. ``ORFEXONDENSITY``: exons with CDS per kb of CDS, 0 without CDS.
    """
    exons, coding = transcript.exon_blocks(), transcript.coding_blocks()
    span = transcript.coding_span()
    left = exons.clip(max=span[0]) if span else exons[:0]
    right = exons.clip(min=span[1]) if span else exons[:0]
    upstream, downstream = (left, right) if transcript.strand == "+" else (right, left)
    parts = {"UTR5": upstream, "CDS": coding, "UTR3": downstream}
    lengths = {name: int(np.diff(blocks).sum()) for name, blocks in parts.items()}
    spanned = int(exons[:, 1].max() - exons[:, 0].min())
    features = {f"{name}LEN": float(length) for name, length in lengths.items()}
    features["INTRONLEN"] = float(spanned - np.diff(exons).sum())
    features |= {f"{name}GC": _gc(sequence, blocks) for name, blocks in parts.items()}
    features["ORFEXONDENSITY"] = 1000 * len(coding) / lengths["CDS"] if lengths["CDS"] else 0.0
    return features


def standardise_lengths(features: pd.DataFrame) -> pd.DataFrame:
    """Turn lengths into z-scores of log10(length + 0.1) over all rows; the other columns stay.

    The standard deviation is that of the population (n); 0 everywhere where all are equal.
    """
    columns = {}
    for name in MRNA_FEATURES:
        length = name.removesuffix("_log10zscore")
        values = features[length].to_numpy(np.float64)
        if length in LENGTHS:
            values = np.log10(values + SHIFT)
            spread = values.std()
            # Equal lengths differ in the last bit of their mean.
            values = (values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values))
        columns[name] = values
    return pd.DataFrame(columns, index=features.index)


def _gc(sequence: pyfaidx.FastaRecord, blocks: np.ndarray) -> float:
    bases = "".join(str(sequence[start:end]) for start, end in blocks.tolist() if start < end)
    gc = bases.count("G") + bases.count("C")
    known = gc + bases.count("A") + bases.count("T")
    return gc / known if known else 0.0
