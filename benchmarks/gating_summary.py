"""Tables of `benchmarks.gating`: means over genomes, and what of a gain long windows keep.

Axes: G genomes, n test genes of each, R bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from seq2exp.comparison import Interval, bootstrap, gene_metrics, interval

Floats = NDArray[np.float64]

REFERENCE = "promoter_only"
SAMPLES = 2_000
RUN = ["window", "model", "steps"]


def summaries(runs: pd.DataFrame, by_bin: pd.DataFrame, predictions: pd.DataFrame) -> list[Table]:
    """Tables of the windows as a whole, and of their parts.

    Parameters
    ----------
    runs, by_bin
        From :func:`benchmarks.gating_figures.run_figures`, with ``window``, ``genome``, ``model``,
        ``steps`` and ``seed``.
    predictions
        ``observed`` and ``predicted`` of every test gene, with the same keys and ``gene_id``.
    """
    return [_whole(runs, gains(predictions)), _parts(by_bin), _foreign(runs)]


# --------------------------------------------------------------------------- gains


class Gain(NamedTuple):
    """What a model's r is above that of promoter_only, over genomes; and its samples (R,)."""

    value: float
    samples: Floats

    def interval(self) -> Interval:
        return interval(self.samples)


def gains(predictions: pd.DataFrame) -> dict[tuple[int, str, int], Gain]:
    """Gain over promoter_only of every window, model and steps that has it on the same genomes.

    Bootstrap samples draw genomes, and genes within each; the model and promoter_only have the same
    draws. Several training seeds on a genome are drawn as well, and averaged.
    """
    found = {}
    for key, own in predictions.groupby(RUN):
        window = key[0]
        reference = predictions[
            (predictions["window"] == window) & (predictions["model"] == REFERENCE)
        ]
        genomes = [
            _aligned(part, reference[reference["genome"] == genome])
            for genome, part in own.groupby("genome")
        ]
        if all(genome is not None for genome in genomes):
            found[key] = _gain([genome for genome in genomes if genome is not None])
    return found


def _aligned(own: pd.DataFrame, reference: pd.DataFrame) -> tuple[Floats, Floats, Floats] | None:
    """Labels (n,), and predictions of both models (their seeds, n)."""
    if reference.empty:
        return None
    columns = {"index": "gene_id", "columns": ["seed", "steps"], "values": "predicted"}
    mine, theirs = own.pivot_table(**columns), reference.pivot_table(**columns)
    observed = own.drop_duplicates("gene_id").set_index("gene_id")["observed"]
    genes = mine.index
    return (
        observed.loc[genes].to_numpy(np.float64),
        mine.to_numpy(np.float64).T,
        theirs.loc[genes].to_numpy(np.float64).T,
    )


def _gain(genomes: list[tuple[Floats, Floats, Floats]]) -> Gain:
    values, samples = [], []
    for g, (observed, *models) in enumerate(genomes):
        mine, theirs = (gene_metrics(observed, model)["pearson"].mean() for model in models)
        values.append(mine - theirs)
        each_gene = np.arange(len(observed))
        drawn = bootstrap(observed, models, each_gene, resamples=SAMPLES, seed=g)["pearson"]
        samples.append(drawn[:, 0] - drawn[:, 1])
    rng = np.random.default_rng(0)
    picked = rng.integers(len(genomes), size=(SAMPLES, len(genomes)))
    means = np.stack(samples)[picked, np.arange(SAMPLES)[:, None]].mean(axis=1)
    return Gain(float(np.mean(values)), means)


# --------------------------------------------------------------------------- tables


def _whole(runs: pd.DataFrame, gained: dict[tuple[int, str, int], Gain]) -> Table:
    table = Table(
        box=SIMPLE_HEAD, title="Means over genomes (lowest, highest); gains with 95% intervals"
    )
    for column in (
        *("window", "model", "steps", "runs", "s", "r", "gain over promoter", "kept"),
        *("mask", "AUROC mask", "sequence", "AUPRC mask", "sequence", "prior", "DNase"),
    ):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    shortest = runs["window"].min()
    for key, own in runs.groupby(RUN, sort=True):
        gain = gained.get(key)
        table.add_row(
            *map(str, key),
            str(len(own)),
            f"{own['seconds'].mean():.0f}",
            _spread(own["pearson"]),
            "" if gain is None else f"{gain.value:.3f} {_bounds(*gain.interval())}",
            "" if gain is None else _kept(gain, key, gained, shortest),
            f"{own['mask_ratio'].mean():.2f}" if own["mask_ratio"].notna().any() else "",
            *(_spread(own.get(f"auroc_{name}")) for name in ("mask", "sequence_part")),
            *(
                _mean(own.get(f"auprc_{name}"))
                for name in ("mask", "sequence_part", "prior", "dnase")
            ),
        )
    return table


def _kept(
    gain: Gain,
    key: tuple[int, str, int],
    gained: dict[tuple[int, str, int], Gain],
    shortest: int,
) -> str:
    """Share of the gain in the shortest windows that is left, against the model's best there."""
    window, model, _ = key
    there = [g for (w, m, _), g in gained.items() if w == shortest and m == model]
    if window == shortest or model == REFERENCE or not there:
        return ""
    best = max(there, key=lambda g: g.value)
    if best.interval()[0] <= 0:
        return ""  # there is no gain to keep
    low, high = interval(gain.samples / best.samples)
    return f"{gain.value / best.value:.0%} ({low:.0%}, {high:.0%})"


def _parts(by_bin: pd.DataFrame) -> Table:
    table = Table(
        box=SIMPLE_HEAD, title="By distance to the TSS. Means over genomes (lowest, highest)"
    )
    for column in (
        *("window", "distance", "model", "steps", "genes", "r", "effect that arrives"),
        *("elements", "AUROC mask", "sequence"),
        *("AUPRC mask", "sequence", "prior", "DNase", "chance"),
    ):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for key, own in by_bin.groupby(["window", "low", "high", "model", "steps"], sort=True):
        window, low, high, model, steps = key
        active = own.get("active", pd.Series(dtype=float))
        table.add_row(
            *(str(window), f"{low}-{high}", str(model), str(steps)),
            f"{own['genes'].mean():.0f}",
            *(_spread(own["pearson"]), _spread(own["arrives"])),
            f"{active.mean():.0f}" if active.notna().any() else "",
            *(_spread(own.get(f"auroc_{name}")) for name in ("mask", "sequence_part")),
            *(
                _mean(own.get(f"auprc_{name}"))
                for name in ("mask", "sequence_part", "prior", "dnase")
            ),
            _mean(own.get("base_rate")),
        )
    return table


def _foreign(runs: pd.DataFrame) -> Table:
    table = Table(
        box=SIMPLE_HEAD, title="The predictor with the mask of another training, zeros and ones: r"
    )
    for column in (*RUN, "genome", "own mask", "other's", "difference"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for row in _rows_with(runs, "pearson_foreign"):
        own, foreign = row["pearson_own"], row["pearson_foreign"]
        table.add_row(
            *(str(row[name]) for name in (*RUN, "genome")),
            *(f"{own:.3f}", f"{foreign:.3f}", f"{foreign - own:+.3f}"),
        )
    return table


def _rows_with(runs: pd.DataFrame, column: str) -> Iterator[dict[str, float]]:
    if column in runs:
        yield from runs[runs[column].notna()].sort_values([*RUN, "genome"]).to_dict("records")


def _spread(values: pd.Series | None) -> str:
    if values is None or values.notna().sum() < 2:
        return _mean(values)
    return f"{values.mean():.3f} {_bounds(values.min(), values.max())}"


def _bounds(low: float, high: float) -> str:
    return f"({low:.3f}, {high:.3f})"


def _mean(values: pd.Series | None) -> str:
    return "" if values is None or not values.notna().any() else f"{values.mean():.3f}"
