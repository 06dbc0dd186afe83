"""Which assembly a file is of, by the lengths of its chromosomes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import bioframe

from seq2exp.reference import match_chromosome

UNKNOWN = "unknown"


@cache
def assemblies() -> dict[str, dict[str, int]]:
    """Chromosome lengths of common assemblies (bioframe's tables) by UCSC name; without chrM."""
    table = bioframe.assemblies_available().query("provider == 'ucsc'")
    sizes = {}
    for name in table["provider_build"].unique():
        lengths = bioframe.assembly_info(name).chromsizes
        # Two sequences of the human mitochondrion go with hg19.
        sizes[str(name)] = {str(c): int(n) for c, n in lengths.items() if c != "chrM"}
    return sizes


def infer_assembly(sizes: Mapping[str, int]) -> str:
    """Name the assembly that has these chromosomes.

    Parameters
    ----------
    sizes
        Length of each chromosome (chr1 and 1 are the same name); scaffolds do not matter.

    Returns
    -------
    str
        UCSC's name, such as ``hg38``: the one that agrees on the most chromosomes and disagrees on
        none. ``unknown`` where there is none, as for a simulated genome.
    """
    agreeing = {}
    for assembly, lengths in assemblies().items():
        found = {name: match_chromosome(name, sizes) for name in lengths}
        same = [sizes[own] == lengths[name] for name, own in found.items() if own is not None]
        if same and all(same):
            agreeing[assembly] = len(same)
    most = max(agreeing.values(), default=0)
    return " or ".join(a for a, count in agreeing.items() if count == most) or UNKNOWN
