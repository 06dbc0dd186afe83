"""Expression of the simulated genes, part by part, and the best that a model can reach.

The label of gene g in a cell line, in log10(1 + CAGE):
    label = promoter_g + sum over elements of effect_eg + noise_g,
    effect_eg = strength * copies_e / (mean copies) * c(distance), if e is active and open there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seq2exp.simulate.contacts import contact
from seq2exp.simulate.layout import Element, Gene, Layout
from seq2exp.simulate.settings import Settings

PAIR_COLUMNS = [
    "cell_line", "element", "kind", "open", "chrom", "start", "end",
    "gene_id", "gene_name", "tss", "distance",
]  # fmt: skip
CRISPRI_COLUMNS = [
    "chrom", "start", "end", "gene_id", "gene_name", "gene_tss", "cell_line",
    "effect_size", "significant", "regulated",
]  # fmt: skip


def draw_promoter_copies(settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Draw motif copies in each promoter: (gene, 1 + cell lines), first the shared motif."""
    most = [settings.promoter_copies, *[settings.cell_line_copies] * len(settings.cell_lines)]
    return rng.integers(0, np.array(most) + 1, size=(settings.genes, len(most)))


def promoter_strength(copies: np.ndarray, settings: Settings) -> np.ndarray:
    """Return promoter strengths (gene, cell line): mean 0, variance 1, two thirds of it shared."""

    def standardise(values: np.ndarray, most: int) -> np.ndarray:
        return (values - most / 2) / np.sqrt(((most + 1) ** 2 - 1) / 12)

    shared = standardise(copies[:, :1], settings.promoter_copies)
    own = standardise(copies[:, 1:], settings.cell_line_copies)
    return np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * own


def pair_elements(layout: Layout, settings: Settings) -> pd.DataFrame:
    """Return every (cell line, element, gene) with the element wholly in the gene's window.

    ``distance`` is from the TSS to the element's middle, in bp; ``effect`` is still unscaled.
    """
    by_chrom: dict[str, list[Element]] = {chrom: [] for chrom in layout.chrom_sizes}
    for element in layout.elements:
        by_chrom[element.chrom].append(element)
    starts = {chrom: [e.start for e in found] for chrom, found in by_chrom.items()}
    rows = []
    for gene in layout.genes:
        low, high = gene.tss - settings.half, gene.tss + settings.half
        span = np.searchsorted(starts[gene.chrom], [low, high])
        for element in by_chrom[gene.chrom][slice(*span)]:
            if element.end <= high:
                rows.extend(_pair_rows(gene, element, settings))
    table = pd.DataFrame(rows, columns=[*PAIR_COLUMNS, "copies"])
    table["contact"] = contact(table["distance"].to_numpy(), settings)
    acts = (table["kind"] == "active") & table["open"]
    mean_copies = sum(settings.motif_copies) / 2
    table["effect"] = np.where(acts, table["copies"] / mean_copies * table["contact"], 0.0)
    return table[[*PAIR_COLUMNS, "contact", "effect"]]


def _pair_rows(gene: Gene, element: Element, settings: Settings) -> list[tuple]:
    """Return a row of PAIR_COLUMNS and the copies for each cell line."""
    distance = abs((element.start + element.end) // 2 - gene.tss)
    place = (element.chrom, element.start, element.end, gene.gene_id, gene.gene_name, gene.tss)
    return [
        (cell_line, element.name, element.kind, is_open, *place, distance, element.copies)
        for cell_line, is_open in zip(settings.cell_lines, element.open_in, strict=True)
    ]


def draw_expression(
    genes: list[Gene],
    strength: np.ndarray,
    pairs: pd.DataFrame,
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw labels and return (one row a gene and cell line, pairs with scaled effects).

    One factor for all promoters and one for all effects give the two parts their shares of the
    variance over all genes and cell lines. A label that would be negative is 0.
    """
    index = pd.MultiIndex.from_product(
        [settings.cell_lines, [gene.gene_id for gene in genes]], names=["cell_line", "gene_id"]
    )
    raw = pairs.groupby(["cell_line", "gene_id"])["effect"].sum().reindex(index, fill_value=0.0)
    distal_factor = _factor(raw.to_numpy(), settings.distal_share, settings)
    promoter = strength.T.ravel()
    promoter = promoter * _factor(promoter, settings.promoter_share, settings)
    distal = raw.to_numpy() * distal_factor
    table = index.to_frame(index=False)
    table.insert(2, "chrom", [gene.chrom for gene in genes] * len(settings.cell_lines))
    table["promoter"] = promoter + settings.label_mean - distal.mean() - promoter.mean()
    table["distal"] = distal
    table["noiseless"] = table["promoter"] + table["distal"]
    noise_sd = settings.label_sd * np.sqrt(settings.noise_share)
    noisy = table["noiseless"] + rng.normal(0, noise_sd, len(table))
    table["label"] = noisy.clip(lower=0)
    table["noise"] = table["label"] - table["noiseless"]
    table["rna"] = table["label"] + rng.normal(0, settings.rna_noise_sd, len(table))
    scaled = pairs.assign(effect=pairs["effect"] * distal_factor)
    return table, scaled.assign(regulated=scaled["effect"] > 0)


def _factor(part: np.ndarray, share: float, settings: Settings) -> float:
    """Return the factor that gives ``part`` its share of the label's variance."""
    return float(settings.label_sd * np.sqrt(share) / (part.std() or 1.0))


def noise_ceiling(
    expression: pd.DataFrame, cell_line: str, gene_ids: Sequence[str], label: str = "label"
) -> float:
    """Return the best Pearson r that a model of these genes can expect.

    It is the correlation of the noiseless value with ``label`` ("label" for CAGE, or "rna").
    """
    return _pearson(_select(expression, cell_line, gene_ids), "noiseless", label)


def _select(expression: pd.DataFrame, cell_line: str, gene_ids: Sequence[str]) -> pd.DataFrame:
    chosen = expression["gene_id"].isin(list(gene_ids))
    return expression[chosen & (expression["cell_line"] == cell_line)]


def _pearson(rows: pd.DataFrame, first: str, second: str) -> float:
    return float(np.corrcoef(rows[first], rows[second])[0, 1])


def ceiling_table(expression: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return ceilings and variance shares for each cell line and chromosome, and for all genes.

    Shares are variances relative to the label's; they add to 1 but for chance covariance.
    """
    rows = []
    for cell_line in settings.cell_lines:
        own = expression[expression["cell_line"] == cell_line]
        groups = [("all", own), *((str(chrom), part) for chrom, part in own.groupby("chrom"))]
        for chrom, part in groups:
            genes, total = part["gene_id"].tolist(), part["label"].var()
            rows.append(
                {
                    "cell_line": cell_line,
                    "chrom": chrom,
                    "genes": len(part),
                    "noise_ceiling_pearson": noise_ceiling(part, cell_line, genes),
                    "promoter_only_pearson": _pearson(part, "promoter", "label"),
                    "rna_noise_ceiling_pearson": noise_ceiling(part, cell_line, genes, "rna"),
                    "promoter_share": part["promoter"].var() / total,
                    "distal_share": part["distal"].var() / total,
                    "noise_share": part["noise"].var() / total,
                }
            )
    return pd.DataFrame(rows)


def crispri_table(pairs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table like a CRISPRi screen's: the open elements of each gene's window.

    ``effect_size`` is the relative change of 1 + CAGE when the element is silenced,
    10 ** -effect - 1, plus measurement noise; it is significant when that is below -3 s.d. of the
    noise, and then the gene counts as regulated.
    """
    noise_sd = 0.05
    table = pairs[pairs["open"]].rename(columns={"tss": "gene_tss"})
    table["effect_size"] = 10 ** -table["effect"] - 1 + rng.normal(0, noise_sd, len(table))
    table["significant"] = table["effect_size"].abs() > 3 * noise_sd
    table["regulated"] = table["significant"] & (table["effect_size"] < 0)
    return table[CRISPRI_COLUMNS]
