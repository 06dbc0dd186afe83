"""Does a mask decide, and do far elements count? python -m benchmarks.gating --help.

Simulates genomes with elements all over windows of several lengths, at equal total effect; trains the
models named on each (`benchmarks/gating.yaml`), with the workflow; and prints accuracy, AUROC of
masks over elements, AUPRC over bases and what arrives of planted effects, by distance to the TSS
(with a picture, gating.png).
Started again it goes on, and adds what was asked for; the table is of all that is in the folder.

A model may be given steps of its own, as NAME:STEPS, to compare at equal time.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml
from rich.console import Console
from tqdm import tqdm

from benchmarks.gating_figure import draw_benchmark
from benchmarks.gating_figures import RunFiles, foreign_pearson, run_figures
from benchmarks.gating_summary import summaries
from seq2exp.planted import PlantedTruth
from seq2exp.schemas import write_table
from seq2exp.simulate import simulate
from seq2exp.simulate.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_suffix(".yaml")
REACH = 0.95
"""Elements are drawn evenly over this share of the window."""


class Genome(NamedTuple):
    """A simulated genome in a folder of its own, with the runs on it."""

    folder: Path
    window: int
    seed: int

    def simulate(self) -> None:
        """Write it, unless it is there."""
        if not (self.folder / "simulated").exists():
            settings = Settings(
                window=self.window,
                element_reach=REACH,
                cell_lines=("SimA",),
                genes=1_000,
                chromosome_weights=(2, 2, 2, 1, 3),
            )
            simulate(self.folder / "simulated", self.seed, settings)

    def results(self, steps: int) -> Path:
        """Folder of the runs of so many steps, relative to the genome's."""
        return Path(f"results{steps}")

    def write_config(self, steps: int, seeds: list[int], accelerator: str) -> Path:
        """Write the config of the runs of so many steps."""
        config = yaml.safe_load(TEMPLATE.read_text())
        config["results"] = str(self.results(steps))
        config["window"]["length"] = self.window
        settings = Settings(window=self.window)
        config["cell_lines"]["SimA"]["hic"]["resolution"] = settings.contact_resolution
        config["models"]["signal_linear"]["spans"] = [100, 250, 500, self.window // 2]
        config["seeds"] = seeds
        config["training"] |= {"steps": steps, "warmup_steps": steps // 10}
        config["training"] |= {"accelerator": accelerator, "workers": int(accelerator != "cpu")}
        config["resources"] = {"training_threads": 1 if accelerator == "cpu" else 4}
        path = self.folder / f"config{steps}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def files(self, steps: int, model: str, seed: int) -> RunFiles:
        """What the workflow writes for a run."""
        results, run = self.folder / self.results(steps), f"SimA/CAGE/{model}/fold1_seed{seed}"
        truth = self.folder / "simulated/truth"
        return RunFiles(
            checkpoint=results / "models" / run / "model.ckpt",
            metrics=results / "models" / run / "metrics.json",
            predictions=results / "predictions" / run / "predictions.tsv",
            masks=results / "predictions" / run / "masks",
            store=results / "windows/SimA",
            truth=PlantedTruth(
                elements=truth / "elements.bed",
                pairs=truth / "pairs.tsv",
                expression=truth / "expression.tsv",
            ),
        )


def train(genome: Genome, models: dict[str, int], args: argparse.Namespace) -> None:
    """Train models, given with their steps, and predict with them."""
    for steps in sorted(set(models.values())):
        config = genome.write_config(steps, args.seeds, args.accelerator)
        targets = [
            str(genome.files(steps, model, seed).predictions.relative_to(genome.folder))
            for model, own in models.items()
            if own == steps
            for seed in args.seeds
        ]
        command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", "."]
        command += ["--configfile", config.name, "--cores", str(args.cores), "--quiet", "all"]
        threads = {"OMP_NUM_THREADS": "1"} if args.accelerator == "cpu" else {}
        subprocess.run(
            [*command, "--", *targets], cwd=genome.folder, env=os.environ | threads, check=True
        )


def measured(folder: Path) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Yield figures of every run in the folder: of the whole window, of its bins, and predictions."""
    runs = sorted(folder.glob("*/results*/predictions/SimA/CAGE/*/*/predictions.tsv"))
    for path in tqdm(runs, desc="runs measured", disable=not sys.stderr.isatty()):
        model, run = path.parts[-3:-1]
        seed = int(run.removeprefix("fold1_seed"))
        steps = int(path.parts[-7].removeprefix("results"))
        window, genome_seed = map(int, path.parts[-8].split("_"))
        genome = Genome(folder / path.parts[-8], window, genome_seed)
        files = genome.files(steps, model, seed)
        if not files.metrics.exists():
            continue  # it is being trained again
        whole, by_bin, test = run_figures(files)
        key = {"window": window, "genome": genome_seed, "model": model}
        key |= {"steps": steps, "seed": seed}
        other = genome.files(steps, model, seed + 1).masks
        if files.masks.exists() and other.exists():
            whole |= {f"pearson_{k}": value for k, value in foreign_pearson(files, other).items()}
        yield pd.DataFrame([key | whole]), by_bin.assign(**key), test.assign(**key)


def main(args: argparse.Namespace) -> None:
    models = dict(_model_and_steps(text, args.steps) for text in args.models)
    for window in args.windows:
        for seed in args.genomes:
            genome = Genome(args.folder / f"{window}_{seed}", window, seed)
            genome.simulate()
            train(genome, models, args)
    if args.train_only:
        return
    tables = [pd.concat(parts) for parts in zip(*measured(args.folder), strict=True)]
    for table, name in zip(tables, ("runs", "bins", "predictions"), strict=True):
        write_table(table, args.folder / f"{name}.tsv")
    draw_benchmark(*tables[:2], args.folder / "gating.png")
    console = Console(width=240)
    for summary in summaries(*tables):
        console.print(summary)


def _model_and_steps(text: str, steps: int) -> tuple[str, int]:
    name, _, own = text.partition(":")
    return name, int(own or steps)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("folder", type=Path, help="where genomes, runs and runs.tsv go")
    result.add_argument("--windows", type=int, nargs="*", default=[2_000, 8_000, 32_000])
    result.add_argument("--genomes", type=int, nargs="+", default=[11, 12, 13], help="their seeds")
    models = ["seq2exp_gated", "seq2exp_soft", "promoter_only", "signal_linear"]
    result.add_argument("--models", nargs="+", default=models, help="of gating.yaml; MODEL-VARIANT")
    result.add_argument("--seeds", type=int, nargs="+", default=[2], help="of the trainings")
    result.add_argument("--steps", type=int, default=900)
    result.add_argument("--train-only", action="store_true", help="no table yet")
    result.add_argument("--cores", type=int, default=2)
    result.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    return result


if __name__ == "__main__":
    main(parser().parse_args())
