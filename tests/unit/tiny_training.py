"""A training that takes seconds: a simulated genome, a small model, twelve steps."""

import json
import time
from pathlib import Path

import pandas as pd
import torch

from seq2exp.annotation import prepare_genes
from seq2exp.checkpoints import load_checkpoint
from seq2exp.config import PowerLaw, WindowConfig
from seq2exp.expression import LabelInputs
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.reference import prepare_genome
from seq2exp.runs import Run
from seq2exp.simulate import Settings, simulate
from seq2exp.store import build_store
from seq2exp.training import train
from seq2exp.training_config import TrainingConfig

SOFT = Seq2ExpSoftConfig(
    d_model=8, d_state=2, generator_layers=1, predictor_layers=1, signal_transform="log1p"
)
RECIPE = TrainingConfig(
    steps=12,
    batch_size=4,
    learning_rate=5e-3,
    warmup_steps=2,
    validate_every=0.6,
    standardise_label=True,
    accelerator="cpu",
    workers=0,
    checkpoint_every=2,
)


def build_data(folder: Path) -> None:
    """Window store of SimA and folds.tsv: 20 genes to train, 8 to validate, 8 to test."""
    source = folder / "source"
    settings = Settings(genes=36, window=1000, element_reach=1.0, chromosome_weights=(5, 2, 2))
    simulate(source, seed=5, settings=settings)
    prepare_genome(source / "genome.fa.gz", folder / "genome.fa", folder / "chrom.sizes", None)
    prepare_genes(
        folder / "genes.tsv",
        folder / "genes_dropped.tsv",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "chrom.sizes",
        annotation=source / "annotation.gtf.gz",
        n_fraction_span=1000,
    )
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    split = genes["chrom"].map({"chr1": "train", "chr2": "valid", "chr3": "test"})
    genes[["gene_id"]].assign(fold1=split).to_csv(folder / "folds.tsv", sep="\t", index=False)
    build_store(
        folder / "store",
        cell_line="SimA",
        genome_name="sim",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "chrom.sizes",
        genes_table=folder / "genes.tsv",
        blacklist=source / "blacklist.bed",
        h3k27ac=source / "SimA.H3K27ac.bw",
        dnase=source / "SimA.DNase.bw",
        hic=None,
        labels={"CAGE": LabelInputs(replicates=((source / "SimA.CAGE.bw",),))},
        window=WindowConfig(length=1000, promoter_length=200),
        power_law=PowerLaw(bin=200),
        peaks=source / "SimA.DNase.peaks.bed",
    )


def run_training(data: Path, out: Path, model=SOFT, recipe=RECIPE, seed=2, teacher=None) -> dict:
    train(
        data / "store",
        data / "folds.tsv",
        Run("CAGE", 1, seed, "toy"),
        model,
        recipe,
        teacher=teacher,
        out_checkpoint=out / "model.ckpt",
        out_metrics=out / "metrics.json",
        out_history=out / "history.csv",
        work_dir=out / "work",
    )
    return json.loads((out / "metrics.json").read_text())


def same_weights(one: Path, other: Path, *, within: float = 0.0) -> None:
    ours, theirs = (load_checkpoint(out / "model.ckpt").model.state_dict() for out in (one, other))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=within)


def await_file(folder: Path, pattern: str, seconds: float = 300) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.01)
