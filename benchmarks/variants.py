"""Variants a minute that `seq2exp score` takes: python -m benchmarks.variants --help.

Draws variants in the windows of a store (of ten, eight change a base, one inserts and one deletes up
to 20), and scores them as the command does, files and table included. Each variant is one window a
gene whose window holds it, and each of these genes one more. The last line is the same number of
unchanged windows predicted and nothing else: what the model alone takes.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from benchmarks.measure import alone, machine, parser, print_table, seconds_of, write_json
from seq2exp.batching import consecutive_batches
from seq2exp.checkpoints import load_checkpoint
from seq2exp.loader import WindowLoader
from seq2exp.packing import unpack
from seq2exp.process import prepare_process
from seq2exp.store import WindowStore, open_store
from seq2exp.variants.genome import Genome
from seq2exp.variants.table import score_variants
from seq2exp.windows import WindowDataset

HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
LONGEST = 20
SCORE, BARE = "seq2exp score", "windows alone"


def draw(store: WindowStore, genome: Genome, count: int) -> str:
    """A VCF of variants around random TSSs of a store, in the order of the genome."""
    rng = np.random.default_rng(0)
    reach = store.window_length // 2 - LONGEST
    rows: list[tuple[str, int, str, str]] = []
    while len(rows) < count:
        gene = store.genes.iloc[rng.integers(len(store.genes))]
        chrom = genome.require_name(gene["chrom"], "the store")
        start = int(gene["tss"]) + int(rng.integers(-reach, reach))
        length = int(rng.integers(1, LONGEST + 1))
        ref = genome.text(chrom, start, start + 1 + length) if start >= 0 else ""
        new = "".join(rng.choice(list("ACGT"), length))
        kind = len(rows) % 10
        if len(ref) <= length or "N" in ref or (kind < 8 and new[0] == ref[0]):
            continue
        alleles = (ref[0], ref[0] + new) if kind == 8 else (ref, ref[0])
        rows.append((chrom, start + 1, *((ref[0], new[0]) if kind < 8 else alleles)))
    lines = (f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for chrom, pos, ref, alt in sorted(rows))
    return HEADER + "".join(lines)


def timed(run: Callable[[], None], device: str, repeats: int) -> dict[str, float]:
    """Least wall and processor seconds of some runs."""
    wall, busy = [], []
    for _ in range(repeats):
        start = time.process_time()
        wall.append(seconds_of(run, device))
        busy.append(time.process_time() - start)
    return {"seconds": min(wall), "cpu_seconds": min(busy)}


def predict(checkpoint: Path, store: WindowStore, windows: int, batch: int, device: str) -> None:
    """Predict so many windows of a store."""
    trained = load_checkpoint(checkpoint, device)
    rows = np.resize(np.arange(len(store.genes)), windows)
    dataset = WindowDataset(store.path, rows, None, trained.shape.window_length)
    loader = WindowLoader(dataset, consecutive_batches(windows, batch), workers=0, pinned=False)
    known = {"contact_bin": store.contact_bin, "has_peaks": store.has_peaks}
    with torch.no_grad():
        for packed in loader:
            trained.model(unpack(packed.to(device), **known)).prediction.cpu()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    tqdm.set_lock(threading.RLock())  # its own one a pool's process leaves behind when it ends
    store = open_store(args.store)
    with tempfile.TemporaryDirectory() as folder:
        vcf, out = Path(folder) / "v.vcf", Path(folder) / "s.tsv"
        vcf.write_text(draw(store, Genome(args.fasta), args.variants))
        files = (args.checkpoint, args.store, vcf, args.fasta)
        how = {"batch_size": args.batch, "device": args.device}
        score_variants(*files, out_table=out, **how)  # compiles kernels
        ours = timed(
            lambda: score_variants(*files, out_table=out, **how), args.device, args.repeats
        )
        table = pd.read_csv(out, sep="\t")
    scored = table[table["status"] == "scored"]
    windows = len(scored) + scored["gene_id"].nunique()
    bare = timed(
        lambda: predict(args.checkpoint, store, windows, args.batch, args.device),
        *(args.device, args.repeats),
    )
    counts = {"variants": args.variants, "pairs": len(scored), "windows": windows}
    return counts | {"window_length": store.window_length, "ways": {SCORE: ours, BARE: bare}}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("store", type=Path)
    options.add_argument("fasta", type=Path)
    options.add_argument("--variants", type=int, default=1_000)
    options.add_argument("--batch", type=int, default=8)
    args = options.parse_args()
    prepare_process()  # what torch reads of it when it is loaded counts in the process below
    found = alone(measure, args)
    print(f"{machine(args.device)}, {args.threads} threads, windows of {found['window_length']} bp")
    print(f"{found['variants']} variants, {found['pairs']} with a gene, {found['windows']} windows")
    rows = [
        [
            *(name, f"{way['seconds']:.1f}", f"{way['cpu_seconds']:.1f}"),
            *(f"{60 * found['variants'] / way['seconds']:.0f}",),
            *(f"{found['windows'] / way['seconds']:.0f}",),
        ]
        for name, way in found["ways"].items()
    ]
    print_table(["", "seconds", "CPU seconds", "variants/min", "windows/s"], rows)
    write_json(args.json, found)


if __name__ == "__main__":
    main()
