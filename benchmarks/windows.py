"""Windows a second, from disk to tensors: python -m benchmarks.windows --help.

Writes a random genome and three bigWigs into a temporary folder, builds a window store of more
than 1 GB from them, and in one run reads windows in four ways with the same number of workers:

  store            packed batches, as training reads them (threads)
  store, expanded  the same, then expanded to float32 on the CPU, as training without a GPU does
  per item         for every window open the bigWigs and the FASTA anew, values as Python lists,
                   one-hot by a dictionary: how the code of papers often does it (processes)
  per item, tuned  files stay open, values as arrays, one-hot by a lookup table (processes)

Each way is measured --repeats times in turn and the best counts; compare within one run only. The
files are in the page cache, but for passes over the store that are measured without it (Linux).
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks.per_item import BASES, TRACKS, PerItem, TunedPerItem
from seq2exp.batching import ShuffledBatches
from seq2exp.config import PowerLaw, WindowConfig
from seq2exp.expression import LabelInputs
from seq2exp.loader import WindowLoader
from seq2exp.packing import Batch, unpack
from seq2exp.process import prepare_process
from seq2exp.reference import prepare_genome
from seq2exp.store import build_store
from seq2exp.windows import WindowDataset

INTERVAL = 25  # mean length of a bigWig interval, bp
PER_CHROMOSOME = 300  # windows
YARDSTICK = "per item"
Way = Callable[[], Iterable[Any]]


def write_files(folder: Path, windows: int, length: int) -> pd.DataFrame:
    """Write FASTA, bigWigs, genes.tsv and labels.tsv; returns the genes, one a window."""
    rng = np.random.default_rng(0)
    counts = np.diff([*range(0, windows, PER_CHROMOSOME), windows])
    sizes = {f"chr{i}": int(n) * length for i, n in enumerate(counts, start=1)}
    tracks = {name: pyBigWig.open(str(folder / f"{name}.bw"), "w") for name in TRACKS}
    for track in tracks.values():
        track.addHeader(list(sizes.items()))
    with open(folder / "raw.fa", "wb") as fasta:
        for chrom, size in tqdm(sizes.items(), desc="genome and tracks", unit="chromosome"):
            lines = BASES[rng.integers(0, 4, (size // 80, 80), dtype=np.uint8)]
            ends = np.full((len(lines), 1), ord("\n"), dtype=np.uint8)
            fasta.write(f">{chrom}\n".encode() + np.hstack([lines, ends]).tobytes())
            for track in tracks.values():
                add_intervals(track, chrom, size, rng)
    for track in tqdm(tracks.values(), desc="closing tracks", unit="track"):
        track.close()
    prepare_genome(folder / "raw.fa", folder / "genome.fa", folder / "sizes", None)
    rows = [(c, i * length + length // 2) for c, n in sizes.items() for i in range(n // length)]
    genes = pd.DataFrame(rows, columns=["chrom", "tss"])
    genes.insert(0, "gene_id", [f"G{i}" for i in range(len(genes))])
    genes.insert(1, "gene_name", genes["gene_id"])
    genes["strand"] = "+"
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    genes.assign(value=1.0).to_csv(folder / "labels.tsv", sep="\t", index=False)
    return genes


def add_intervals(track: Any, chrom: str, size: int, rng: np.random.Generator) -> None:
    cuts = rng.integers(1, 2 * INTERVAL, 2 * size // INTERVAL).cumsum()
    starts = np.concatenate([[0], cuts[cuts < size]])
    values = rng.gamma(0.5, 2, len(starts)).astype(np.float32)
    ends = np.append(starts[1:], size)
    track.addEntries(np.full(len(starts), chrom), starts, ends=ends, values=values)


def build(folder: Path, length: int) -> Path:
    build_store(
        folder / "store",
        cell_line="Random",
        genome_name="random",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "sizes",
        genes_table=folder / "genes.tsv",
        blacklist=None,
        h3k27ac=folder / "h3k27ac.bw",
        dnase=folder / "dnase.bw",
        hic=None,
        labels={"CAGE": LabelInputs(table=folder / "labels.tsv", column=("value",))},
        window=WindowConfig(length=length),
        power_law=PowerLaw(),
    )
    return folder / "store"


def check_same(dataset: WindowDataset, per_item: PerItem) -> None:
    """Stop unless both ways give the same sequence and tracks (float16 in the store)."""
    batch = unpack(dataset.read([0]), contact_bin=dataset.store.contact_bin)
    sequence, signals = per_item[0]
    torch.testing.assert_close(batch.sequence[0], sequence, rtol=0, atol=0)
    torch.testing.assert_close(batch.signals[0, :, :2], signals[:, :2], rtol=1e-3, atol=1e-3)


def read_store(dataset: WindowDataset, windows: int, args: argparse.Namespace) -> WindowLoader:
    order = ShuffledBatches(len(dataset), args.batch, steps=windows // args.batch, seed=1)
    return WindowLoader(dataset, order, workers=args.workers)


def expand(dataset: WindowDataset, windows: int, args: argparse.Namespace) -> Iterator[Batch]:
    for packed in read_store(dataset, windows, args):
        yield unpack(packed, contact_bin=dataset.store.contact_bin)


def read_items(dataset: PerItem, args: argparse.Namespace) -> DataLoader:
    return DataLoader(
        dataset,
        args.batch,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )


def make_ways(
    folder: Path, genes: pd.DataFrame, dataset: WindowDataset, args: argparse.Namespace
) -> dict[str, Way]:
    """One pass over windows in random order for each way; the processes of a way stay."""
    slow = PerItem(folder, genes.sample(args.slow, random_state=1), args.length)
    tuned = TunedPerItem(folder, genes.sample(args.tuned, random_state=1), args.length)
    loaders = [read_items(items, args) for items in (slow, tuned)]
    return {
        "store": lambda: read_store(dataset, args.passes * len(dataset), args),
        "store, expanded": lambda: expand(dataset, args.expanded, args),
        YARDSTICK: lambda: loaders[0],
        "per item, tuned": lambda: loaders[1],
    }


def measure(way: Way) -> dict[str, float]:
    windows = size = 0
    start = time.perf_counter()
    for batch in way():
        windows += len(batch[0])
        size += sum(part.nbytes for part in batch if part is not None)
    seconds = time.perf_counter() - start
    return {"windows_per_second": windows / seconds, "mb_per_second": size / seconds / 1e6}


def fastest(rows: list[dict[str, float]]) -> dict[str, float]:
    return max(rows, key=lambda row: row["windows_per_second"], default={})


def store_files(store: Path) -> list[Path]:
    return [store / "codes.npy", store / "signals.npy"]


def forget(paths: list[Path]) -> bool:
    """Drop files from the page cache; False where that cannot be done."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in paths:
        with open(path, "r+b") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def read_bandwidth(paths: list[Path], workers: int) -> float:
    """Bytes a second out of the page cache into memory in use: pieces of 1 MB by all workers."""

    def read(share: int) -> int:
        buffer, size = memoryview(bytearray(1 << 20)), 0
        for path in paths:
            part = path.stat().st_size // workers
            with open(path, "rb", buffering=0) as file:
                file.seek(share * part)
                for start in range(0, part, len(buffer)):
                    size += file.readinto(buffer[: part - start])
        return size

    with ThreadPoolExecutor(workers) as pool:
        start = time.perf_counter()
        size = sum(pool.map(read, range(workers)))
        return size / (time.perf_counter() - start)


def copy_bandwidth() -> float:
    """Bytes a second that one thread copies between arrays that no cache holds."""
    source, target = (np.ones(1 << 29, dtype=np.uint8) for _ in range(2))
    start = time.perf_counter()
    np.copyto(target, source)
    return len(source) / (time.perf_counter() - start)


def print_result(result: dict[str, Any]) -> None:
    title = f"way, {result['settings']['workers']} workers"
    print(f"{title:18} {'windows/s':>10} {'x':>8} {'MB/s':>8}")
    base = result["best"][YARDSTICK]["windows_per_second"]
    for name, row in result["best"].items():
        speed = row["windows_per_second"]
        print(f"{name:18} {speed:10.1f} {speed / base:8.1f} {row['mb_per_second']:8.0f}")
    print(f"files cached; x: times as many as {YARDSTICK}; MB/s: of the tensors that come out")
    speed = 1e6 * result["best"]["store"]["mb_per_second"]
    for name, ceiling in result["ceilings"].items():
        print(f"{name}: {ceiling / 1e9:.1f} GB/s; the store's windows are {speed / ceiling:.0%}")
    if cold := result["cold"]:
        print(
            f"store not cached: {cold['windows_per_second']:.0f} windows/s, "
            f"{cold['mb_per_second']:.0f} MB/s off the disk"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=1_200, help="in the store; 5 bytes a base")
    parser.add_argument("--length", type=int, default=200_000, help="bp of a window")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--passes", type=int, default=4, help="over all windows, a repeat")
    parser.add_argument("--expanded", type=int, default=400, help="windows a repeat")
    parser.add_argument("--slow", type=int, default=32, help="windows a repeat, per item")
    parser.add_argument("--tuned", type=int, default=160, help="windows a repeat, per item, tuned")
    parser.add_argument("--folder", type=Path, help="where to make the temporary folder")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def run(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    genes = write_files(folder, args.windows, args.length)
    dataset = WindowDataset(build(folder, args.length), np.arange(len(genes)), "CAGE")
    check_same(dataset, TunedPerItem(folder, genes, args.length))
    files = store_files(dataset.store.path)
    size = sum(path.stat().st_size for path in files)
    print(f"store: {len(genes)} windows of {args.length} bp, {size / 1e9:.2f} GB", flush=True)
    ways = make_ways(folder, genes, dataset, args)
    for way in tqdm(ways.values(), desc="first passes, not counted", unit="way"):
        measure(way)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    reading, copying, cold = [], [], []
    for _ in tqdm(range(args.repeats), desc="repeats"):
        for name, way in ways.items():
            rows[name].append(measure(way))
        reading.append(read_bandwidth(files, args.workers))
        copying.append(copy_bandwidth())
    for _ in range(args.repeats):
        if forget(files):
            cold.append(measure(lambda: read_store(dataset, len(dataset), args)))
    return {
        "settings": {name: getattr(args, name) for name in ("windows", "length", "workers")},
        "store_bytes": size,
        "best": {name: fastest(found) for name, found in rows.items()},
        "repeats": rows,
        "ceilings": {"reading cached files": max(reading), "copying, one thread": max(copying)},
        "cold": fastest(cold),
    }


def main() -> None:
    args = parse()
    prepare_process()  # as a workflow's jobs are
    torch.set_num_threads(1)  # the workers have the other cores
    with tempfile.TemporaryDirectory(prefix="seq2exp-windows-", dir=args.folder) as folder:
        result = run(Path(folder), args)
    print_result(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
