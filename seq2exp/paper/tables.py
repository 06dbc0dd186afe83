"""The tables of the paper, and those it lacks: which numbers are shown, and what is said of them."""

from __future__ import annotations

import pandas as pd

from seq2exp.matrix import Matrix
from seq2exp.paper.cells import (
    HEADS,
    blocks,
    cells,
    count,
    difference_columns,
    in_words,
    intervals,
    model_column,
    number,
    percent,
    place_columns,
    published_columns,
    run_column,
    with_sd,
)
from seq2exp.paper.estimates import MAIN, MASK_RATIO, Estimates
from seq2exp.paper.files import ablation_file, seeds_table
from seq2exp.paper.published import beside, masked_models
from seq2exp.paper.writers import Column, ShownTable

PRINTED = ("mse", "mae", "pearson")
"""Metrics in the paper's order."""
SPREAD_TABLES = {"K562": " (the paper's table 4)", "GM12878": " (the paper's table 5)"}
POOLED = (
    "Test genes of all folds together, mean over the seeds that have every fold. "
    "A dash: not run, or not published."
)
DIFFERENCES = (
    "Differences are model minus reference, on the same genes. Intervals: 95%, genes (in blocks of "
    "one window length) and seeds resampled. p: of r from the same resamples, of MSE from the paired "
    "t test on the genes' squared errors, clustered by block; both adjusted for the number of "
    "comparisons of the cell line in this table (Holm)."
)


def shown_tables(estimates: Estimates, settings: pd.DataFrame, matrix: Matrix) -> list[ShownTable]:
    """Every table, in the order of :func:`seq2exp.paper.files.table_names`."""
    return [
        accuracy(estimates, matrix),
        masks(estimates, matrix),
        hyper_parameters(settings),
        *(spread(estimates, matrix, cell_line) for cell_line in matrix.cell_lines),
        comparison(estimates, matrix),
        *(ablation(estimates, matrix, group) for group in matrix.ablations),
        *([views(estimates, matrix)] if matrix.views else []),
        per_fold(estimates, matrix),
    ]


def _main(estimates: Estimates, matrix: Matrix) -> pd.DataFrame:
    """Accuracy of the models that are no variants, beside what is published."""
    ours = estimates.accuracy
    return beside(ours[ours["model"].isin(matrix.main_models)], matrix)


# --------------------------------------------------------------------------- the paper's tables


def accuracy(estimates: Estimates, matrix: Matrix) -> ShownTable:
    """Accuracy of all models beside what is published (table 1)."""
    table = _main(estimates, matrix)
    columns = [*place_columns(table, matrix), model_column(table), run_column(table)]
    for name in PRINTED:
        columns += published_columns(table, name)
    return ShownTable(
        name="accuracy",
        title="Accuracy on the test genes (the paper's table 1)",
        note=f"{POOLED} Published numbers stand beside the first model of their kind.",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )


def masks(estimates: Estimates, matrix: Matrix) -> ShownTable:
    """Accuracy and size of the masks of the models that have one (table 2)."""
    table = _main(estimates, matrix)
    masked = table["model"].isin(masked_models(matrix))
    printed = table["model"].isna() & table["mask_ratio_published"].notna()
    table = table[masked | printed].reset_index(drop=True)
    columns = [
        *place_columns(table, matrix),
        model_column(table),
        run_column(table),
        Column("ours", with_sd(table, MASK_RATIO, percent), "mask ratio"),
    ]
    if table["mask_ratio_published"].notna().any():
        theirs = cells(table, "mask_ratio_published", percent)
        columns.append(Column("published", theirs, "mask ratio"))
    for name in PRINTED:
        columns += published_columns(table, name)
    return ShownTable(
        name="masks",
        title="Models with a mask (the paper's table 2)",
        note=f"Mask ratio: mean of the mask over all bases of the test genes' windows. {POOLED}",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )


def hyper_parameters(settings: pd.DataFrame) -> ShownTable:
    """What the models were trained with (table 3)."""
    sections = settings["section"].tolist()
    return ShownTable(
        name="settings",
        title="Settings of the runs (the paper's table 3)",
        note="As recorded when the models were trained; variants of ablations are in their own "
        "tables. The default of a setting that the paper has is the paper's.",
        numbers=settings,
        columns=[Column(str(name), settings[name].tolist(), numeric=False) for name in settings],
        blocks=[row for row in range(1, len(sections)) if sections[row] != sections[row - 1]],
    )


def spread(estimates: Estimates, matrix: Matrix, cell_line: str) -> ShownTable:
    """Mean and s.d. over seeds in one cell line (tables 4 and 5)."""
    table = _main(estimates, matrix)
    table = table[table["cell_line"] == cell_line].reset_index(drop=True)
    columns = [
        *place_columns(table, matrix)[1:],
        model_column(table),
        Column("seeds", cells(table, "seeds", count)),
    ]
    # The paper's s.d. of MAE and r are not known here.
    theirs = {name: cells(table, f"{name}_published", number) for name in PRINTED}
    theirs["mse"] = with_sd(table, "mse_published", sd="mse_sd_published")
    for name in PRINTED:
        columns.append(Column("ours", with_sd(table, name), HEADS[name]))
        columns.append(Column("95% interval", intervals(table, name), HEADS[name]))
        if table[f"{name}_published"].notna().any():
            columns.append(Column("published", theirs[name], HEADS[name]))
    return ShownTable(
        name=seeds_table(cell_line),
        title=f"Spread over seeds, {cell_line}{SPREAD_TABLES.get(cell_line, '')}",
        note="Mean ± s.d. over seeds; the interval is over genes (in blocks of one window length) and "
        f"seeds. {POOLED}",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )


# --------------------------------------------------------------------------- what the paper lacks


def comparison(estimates: Estimates, matrix: Matrix) -> ShownTable:
    """Paired differences between all models that are no variants."""
    table = estimates.comparison[estimates.comparison["group"] == MAIN].reset_index(drop=True)
    reference = Column("reference", table["reference"].tolist(), numeric=False)
    return ShownTable(
        name="comparison",
        title="Differences between models",
        note=DIFFERENCES,
        numbers=table,
        columns=[
            *place_columns(table, matrix),
            model_column(table),
            reference,
            *difference_columns(table),
        ],
        blocks=blocks(table),
    )


def ablation(estimates: Estimates, matrix: Matrix, group: str) -> ShownTable:
    """A model and its variants, with the difference that each change makes."""
    found = matrix.ablations[group]
    own = estimates.accuracy["model"].isin([found.model, *found.names()])
    differences = estimates.comparison[estimates.comparison["group"] == group]
    differences = differences.drop(columns=["group", "reference", "genes"])
    keys = ["cell_line", "assay", "model"]
    table = estimates.accuracy[own].merge(differences, on=keys, how="left")
    changes = dict(zip(found.names(), map(in_words, found.variants.values()), strict=True))
    table.insert(3, "changes", table["model"].map(changes).fillna(""))
    columns = [
        *place_columns(table, matrix),
        model_column(table),
        Column("changed settings", table["changes"].tolist(), numeric=False),
        run_column(table),
        Column("mask ratio", cells(table, MASK_RATIO, percent)),
        *(Column(HEADS[name], with_sd(table, name)) for name in ("mse", "pearson")),
        *difference_columns(table),
    ]
    return ShownTable(
        name=ablation_file(group),
        title=f"Ablation: {group.replace('_', ' ')}",
        note=f"{found.model} and its variants, the reference being {found.model}. {DIFFERENCES}",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )


def views(estimates: Estimates, matrix: Matrix) -> ShownTable:
    """What trained models lose when they are shown less of the test windows."""
    table = estimates.views[estimates.views["skipped"] == ""].reset_index(drop=True)
    said = table["view"].map(lambda view: in_words(matrix.views.get(view, {})))
    columns = [
        *place_columns(table, matrix),
        model_column(table),
        Column("view", table["view"].tolist(), numeric=False),
        Column("what is shown", said.tolist(), numeric=False),
        Column("seeds", cells(table, "seeds", count)),
        Column("mask ratio", cells(table, MASK_RATIO, percent)),
        *(Column(HEADS[name], with_sd(table, name)) for name in ("mse", "pearson")),
        *difference_columns(table),
    ]
    return ShownTable(
        name="views",
        title="Ablations at test time",
        note="The same trained models, shown test windows in part; nothing is trained again. "
        "Differences are to the full view. Views that make no sense for a model are left out. "
        "Intervals and p: genes (in blocks of one window length) and seeds resampled, p adjusted for "
        "the views of a model (Holm).",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )


def per_fold(estimates: Estimates, matrix: Matrix) -> ShownTable:
    """Every model in every fold."""
    table = estimates.folds
    columns = [
        *place_columns(table, matrix),
        model_column(table),
        *(Column(name, cells(table, name, count)) for name in ("fold", "seeds", "genes")),
        Column("mask ratio", cells(table, MASK_RATIO, percent)),
        *(Column(HEADS[name], with_sd(table, name)) for name in PRINTED),
    ]
    return ShownTable(
        name="per_fold",
        title="Every fold on its own",
        note="Mean ± s.d. over the seeds that are done, on each fold's own test genes.",
        numbers=table,
        columns=columns,
        blocks=blocks(table),
    )
