"""Columns of tables of called elements. Without pandas: the config keeps their names free, too."""

ELEMENT_COLUMNS = (
    "chrom",
    "start",
    "end",
    "name",
    "score",
    "strand",
    "gene_id",
    "gene_name",
    "distance_to_tss",
    "mean_mask",
)
"""BED6 (0-based half-open, no header line) and four columns of our own."""
SCORED_ELEMENT_COLUMNS = (
    *ELEMENT_COLUMNS,
    *("sequence_part", "prior", "effect_removed", "effect_shuffled", "attribution"),
)
"""Called elements with their scores; a column of 0 and 1 for each set of reference regions follows."""
RANKED_SCORES = (
    *("mask", "sequence_part", "prior", "effect_removed", "effect_shuffled", "attribution"),
    *("dnase", "nearness"),
)
"""What candidate elements are ranked by; ``nearness`` is the distance to the TSS with a minus."""
