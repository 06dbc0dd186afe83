"""How numbers become the cells of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from seq2exp.matrix import Matrix
from seq2exp.paper.writers import MISSING, Column

HEADS = {"mse": "MSE", "mae": "MAE", "pearson": "Pearson r"}

Writer = Callable[[float], str]


def number(value: float) -> str:
    """Four decimals."""
    return f"{value:.4f}" if np.isfinite(value) else MISSING


def signed(value: float) -> str:
    """Four decimals and the sign."""
    return f"{value:+.4f}" if np.isfinite(value) else MISSING


def percent(value: float) -> str:
    """A share in percent, two decimals."""
    return f"{100 * value:.2f}%" if np.isfinite(value) else MISSING


def count(value: float) -> str:
    """A whole number; that of nothing is missing."""
    return f"{value:.0f}" if np.isfinite(value) and value else MISSING


def p_value(value: float) -> str:
    """Two digits; below 0.0001 only that."""
    if not np.isfinite(value):
        return MISSING
    return "<0.0001" if value < 1e-4 else f"{value:.2g}"


# --------------------------------------------------------------------------- cells of a column


def cells(table: pd.DataFrame, name: str, write: Writer) -> list[str]:
    """One number a row."""
    return [write(value) for value in table[name]]


def with_sd(table: pd.DataFrame, name: str, write: Writer = number, sd: str = "") -> list[str]:
    """Mean and, where there is one, its s.d. (``sd``, or ``{name}_sd``)."""
    spreads = cells(table, sd or f"{name}_sd", write)
    return [
        mean if MISSING in (mean, spread) else f"{mean} ± {spread}"
        for mean, spread in zip(cells(table, name, write), spreads, strict=True)
    ]


def intervals(table: pd.DataFrame, name: str, write: Writer = number) -> list[str]:
    """From ``{name}_low`` to ``{name}_high``."""
    ends = zip(cells(table, f"{name}_low", write), cells(table, f"{name}_high", write), strict=True)
    return [MISSING if MISSING in (low, high) else f"{low} to {high}" for low, high in ends]


# --------------------------------------------------------------------------- columns


def blocks(table: pd.DataFrame) -> list[int]:
    """Rows at which another cell line or assay begins, but for the first."""
    places = list(zip(table["cell_line"], table["assay"], strict=True))
    return [row for row in range(1, len(places)) if places[row] != places[row - 1]]


def place_columns(table: pd.DataFrame, matrix: Matrix) -> list[Column]:
    """Cell line, and assay where there are several; named in the first row of their block."""
    first = {0, *blocks(table)}
    heads = {"cell line": "cell_line", "assay": "assay"}
    if len(matrix.assays) == 1:
        del heads["assay"]
    return [
        Column(
            head,
            [value if row in first else "" for row, value in enumerate(table[name])],
            numeric=False,
        )
        for head, name in heads.items()
    ]


def model_column(table: pd.DataFrame) -> Column:
    """Our name of a model, or the published one of a model that the config lacks."""
    names = table["model"]
    if "published_name" in table:
        names = names.fillna(table["published_name"])
    return Column("model", names.tolist(), numeric=False)


def run_column(table: pd.DataFrame) -> Column:
    """How many of a model's runs are done."""
    written = []
    for model, done, wanted in zip(
        table["model"], table["runs"], table["runs_wanted"], strict=True
    ):
        if not isinstance(model, str):
            written.append("not in config")
        else:
            written.append(f"{done:.0f} / {wanted:.0f}" if done else "not run")
    return Column("runs", written)


def published_columns(table: pd.DataFrame, name: str) -> list[Column]:
    """Our figure, and where any is published, that one and ours less theirs."""
    ours = Column("ours", cells(table, name, number), HEADS[name])
    if table[f"{name}_published"].isna().all():
        return [ours]
    return [
        ours,
        Column("published", cells(table, f"{name}_published", number), HEADS[name]),
        Column("difference", cells(table, f"{name}_minus_published", signed), HEADS[name]),
    ]


def difference_columns(table: pd.DataFrame) -> list[Column]:
    """Differences of r and MSE with their intervals and adjusted p-values."""
    columns = []
    for name in ("pearson", "mse"):
        key, group = f"{name}_difference", f"difference of {HEADS[name]}"
        columns += [
            Column("mean", cells(table, key, signed), group),
            Column("95% interval", intervals(table, key, signed), group),
            Column("p", cells(table, f"{key}_p_holm", p_value), group),
        ]
    return columns


def in_words(changes: dict[str, Any], prefix: str = "") -> str:
    """Settings of a variant: ``window_length 500, prior.scale 1, signals dnase + hic``."""
    words = []
    for name, value in changes.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            words.append(in_words(value, f"{key}."))
        elif isinstance(value, Iterable) and not isinstance(value, str):
            words.append(f"{key} {' + '.join(map(str, value)) or 'none'}")
        else:
            words.append(f"{key} {value}")
    return ", ".join(words)
