"""The numbers that the papers print, and the models of a config that they belong beside."""

from __future__ import annotations

from importlib.resources import as_file, files

import pandas as pd

from seq2exp.comparison import METRICS
from seq2exp.matrix import Matrix
from seq2exp.schemas import read_table

KEYS = ["cell_line", "assay", "kind"]
COLUMNS = (*KEYS, "name", *METRICS, "mse_sd", "mask_ratio", "source")


def published() -> pd.DataFrame:
    """One row a cell line, assay and kind: ``name`` in print, METRICS, mse_sd, mask_ratio, source."""
    with as_file(files("seq2exp") / "data" / "published.tsv") as path:
        return read_table(path, COLUMNS, text=("cell_line", "assay", "kind", "source"))


def masked_models(matrix: Matrix) -> list[str]:
    """Models whose mask ratio is told: those with a mask, learned or given (MACS3's peaks)."""
    table = published()
    given = set(table.loc[table["mask_ratio"].notna(), "kind"])
    return [name for name, model in matrix.models.items() if model.has_mask or model.kind in given]


def printed_models(matrix: Matrix) -> dict[str, str]:
    """Model of the matrix -> kind, of those that published numbers are put beside.

    Of several models of a kind the first of the config: the others are there to differ from it.
    """
    first: dict[str, str] = {}
    for name in matrix.main_models:
        first.setdefault(matrix.models[name].kind, name)
    return {name: kind for kind, name in first.items()}


def beside(table: pd.DataFrame, matrix: Matrix) -> pd.DataFrame:
    """Put the published numbers beside ours.

    Parameters
    ----------
    table
        Rows of models with cell_line, assay, model, kind and METRICS.
    matrix
        Decides whose the published rows are.

    Returns
    -------
    DataFrame
        The same rows, and for each cell line those of published models that the config lacks, with
        ``published_name`` and ``source``, ``{metric}_published``, ``mse_sd_published``,
        ``mask_ratio_published``, and ``{metric}_minus_published``, ours less theirs.
    """
    found = published()
    printed = printed_models(matrix)
    ours = table.assign(printed_kind=table["model"].map(printed).fillna(""))
    wanted = found[
        found["cell_line"].isin(matrix.cell_lines) & found["assay"].isin(matrix.assays)
    ].rename(columns={"name": "published_name", "kind": "printed_kind"})
    both = ours.merge(
        wanted,
        on=["cell_line", "assay", "printed_kind"],
        how="outer",
        suffixes=("", "_published"),
        indicator="origin",
    )
    absent = both["origin"] == "right_only"
    both.loc[absent, "kind"] = both.loc[absent, "printed_kind"]
    for name in METRICS:
        both[f"{name}_minus_published"] = both[name] - both[f"{name}_published"]
    order = _in_order(both, matrix)
    return both.iloc[order].drop(columns=["printed_kind", "origin"]).reset_index(drop=True)


def _in_order(both: pd.DataFrame, matrix: Matrix) -> list[int]:
    """Cell lines, assays and models as in the config; then what it lacks, as printed."""
    names = published()["name"].tolist()

    def place(row: int) -> tuple[int, ...]:
        values = both.iloc[row]
        model, name = values["model"], values["published_name"]
        known = isinstance(model, str)
        return (
            matrix.cell_lines.index(values["cell_line"]),
            matrix.assays.index(values["assay"]),
            list(matrix.models).index(model) if known else len(matrix.models),
            0 if known else names.index(name),
        )

    return sorted(range(len(both)), key=place)
