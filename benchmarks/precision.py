"""Does training in bfloat16 end where float32 ends? python -m benchmarks.precision --help.

Trains the demo's seq2exp_soft (demo/config.yaml) on its simulated genome, once in each precision
for every seed: same start, same order of windows, same noise of the masks. What is compared is the
accuracy on the test chromosome of the weights that each run keeps, measured in float32.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml
from tqdm import tqdm

from seq2exp.annotation import prepare_genes
from seq2exp.config import Config, parse_config
from seq2exp.expression import LabelInputs
from seq2exp.folds import assign_folds
from seq2exp.process import prepare_process
from seq2exp.reference import prepare_genome
from seq2exp.schemas import read_table, write_table
from seq2exp.simulate import Settings, simulate
from seq2exp.store import build_store
from seq2exp.training import Run, train

DEMO = Path(__file__).parents[1] / "demo" / "config.yaml"
CELL_LINE, ASSAY, FOLD = "SimB", "CAGE", 1
PRECISIONS = ("float32", "bf16")
METRICS = ("mse", "pearson")


def demo_config() -> Config:
    return parse_config(yaml.safe_load(DEMO.read_text()), str(DEMO))


def prepare(folder: Path, genes: int) -> float:
    """Simulate a genome, build its window store and folds; returns the test genes' best Pearson r."""
    config, source = demo_config(), folder / "source"
    ceilings = simulate(source, 1, Settings(genes=genes))
    prepare_genome(source / "genome.fa.gz", folder / "genome.fa", folder / "sizes", None)
    prepare_genes(
        folder / "genes.tsv",
        folder / "dropped.tsv",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "sizes",
        annotation=source / "annotation.gtf.gz",
        n_fraction_span=config.window.length,
    )
    write_table(assign_folds(read_table(folder / "genes.tsv"), config.folds), folder / "folds.tsv")
    build_store(
        folder / "store",
        cell_line=CELL_LINE,
        genome_name="simulated",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "sizes",
        genes_table=folder / "genes.tsv",
        blacklist=source / "blacklist.bed",
        h3k27ac=source / f"{CELL_LINE}.H3K27ac.bw",
        dnase=source / f"{CELL_LINE}.DNase.bw",
        hic=None,
        labels={ASSAY: LabelInputs(table=source / "labels.tsv", column=(f"{CELL_LINE}_{ASSAY}",))},
        window=config.window,
        power_law=config.power_law,
    )
    (test,) = config.folds.sets[FOLD].test
    row = (ceilings["cell_line"] == CELL_LINE) & (ceilings["chrom"] == test)
    return float(ceilings["noise_ceiling_pearson"][row].item())


def measure(task: tuple[argparse.Namespace, Path, str, int]) -> dict[str, Any]:
    """Train and test once."""
    args, folder, precision, seed = task
    torch.set_num_threads(args.threads)
    config = demo_config()
    training = config.training.model_copy(
        update={
            "steps": args.steps,
            "warmup_steps": args.steps // 10,
            "accelerator": "cpu",
            "precision": precision,
            "checkpoint_every": args.steps,
        }
    )
    out = folder / f"{precision}_{seed}"
    start = time.monotonic()
    train(
        folder / "store",
        folder / "folds.tsv",
        Run(ASSAY, FOLD, seed, "seq2exp_soft"),
        config.models["seq2exp_soft"],
        training,
        out_checkpoint=out / "model.ckpt",
        out_metrics=out / "metrics.json",
        out_history=out / "history.csv",
        work_dir=out / "work",
    )
    test = json.loads((out / "metrics.json").read_text())["test"]
    found = {name: test[name] for name in METRICS}
    return {"precision": precision, "seed": seed, **found, "seconds": time.monotonic() - start}


def compare(rows: list[dict[str, Any]], metric: str) -> dict[str, float]:
    """bf16 minus float32, paired by seed; spreads need two seeds or more."""
    first, second = (
        {r["seed"]: r[metric] for r in rows if r["precision"] == p} for p in PRECISIONS
    )
    differences = [second[seed] - first[seed] for seed in first]
    result = {"mean_difference": statistics.mean(differences)}
    if len(differences) > 1:
        result["standard_error"] = statistics.stdev(differences) / len(differences) ** 0.5
        result["seeds_sd"] = statistics.stdev(first.values())
    return result


def verdict(found: dict[str, float]) -> str:
    if "seeds_sd" not in found:
        return "one seed says nothing about noise"
    size = abs(found["mean_difference"])
    if size < 2 * found["standard_error"] or size < found["seeds_sd"]:
        return "within noise"
    return "more than noise"


def print_result(result: dict[str, Any]) -> None:
    print(f"{'seed':>6} {'precision':10} {'test MSE':>9} {'Pearson':>8} {'seconds':>8}")
    for row in result["rows"]:
        print(
            f"{row['seed']:6d} {row['precision']:10} {row['mse']:9.4f} {row['pearson']:8.3f} "
            f"{row['seconds']:8.0f}"
        )
    print(f"noise ceiling: Pearson {result['ceiling']:.3f}")
    for metric, found in result["differences"].items():
        numbers = ", ".join(f"{name.replace('_', ' ')} {v:.4f}" for name, v in found.items())
        print(f"{metric}, bf16 - float32: {numbers}: {verdict(found)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--genes", type=int, default=800, help="five eighths are trained on")
    parser.add_argument("--processes", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    logging.getLogger("seq2exp").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="seq2exp-precision-") as folder:
        ceiling = prepare(Path(folder), args.genes)
        tasks = [(args, Path(folder), p, seed) for seed in args.seeds for p in PRECISIONS]
        with get_context("spawn").Pool(args.processes, prepare_process) as pool:
            results = pool.imap(measure, tasks)
            rows = list(tqdm(results, total=len(tasks), desc="trainings"))
    result = {
        "settings": {name: getattr(args, name) for name in ("steps", "genes")},
        "ceiling": ceiling,
        "rows": rows,
        "differences": {metric: compare(rows, metric) for metric in METRICS},
    }
    print_result(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
