"""Names of the paper's files: known from a config, before there is any result.

Nothing heavy is imported here: the workflow reads it.
"""

from __future__ import annotations

from seq2exp.matrix import Matrix

NUMBERS = ("runs", "folds", "seeds", "accuracy", "comparison", "mask_ratio", "views")
"""Tables of :class:`seq2exp.paper.estimates.Estimates`."""


def seeds_table(cell_line: str) -> str:
    """Name of a cell line's table of the spread over seeds."""
    return f"seeds_{cell_line}"


def ablation_file(group: str) -> str:
    """Name of the table and the figure of a group of ablations."""
    return f"ablation_{group}"


def axis_figure(axis: str) -> str:
    """Name of the figure along a setting."""
    return f"axis_{axis.replace('.', '_')}"


def axis_settings(matrix: Matrix) -> list[str]:
    """Settings that groups of ablations have as their axis, each once."""
    return list(dict.fromkeys(group.axis for group in matrix.ablations.values() if group.axis))


def table_names(matrix: Matrix) -> list[str]:
    """Every table, in the order of the page."""
    return [
        *("accuracy", "masks", "settings"),
        *map(seeds_table, matrix.cell_lines),
        "comparison",
        *map(ablation_file, matrix.ablations),
        *(["views"] if matrix.views else []),
        "per_fold",
    ]


def figure_names(matrix: Matrix) -> list[str]:
    """Every figure, in the order of the page."""
    return [
        *("causal_graph", "architecture", "accuracy", "mask_ratio"),
        *map(axis_figure, axis_settings(matrix)),
        *map(ablation_file, matrix.ablations),
        *(["views"] if matrix.views else []),
    ]
