"""The embedded simulated genome: real file formats, a known truth, a known noise ceiling.

Each gene has a promoter of varying strength, distal active elements (a motif grammar under open,
acetylated chromatin) and decoys: elements just as open and acetylated, but without the grammar,
which do nothing. A model that reads signals alone cannot tell them apart.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

import seq2exp
from seq2exp.errors import UserError
from seq2exp.simulate import writers
from seq2exp.simulate.contacts import write_contacts
from seq2exp.simulate.expression import (
    ceiling_table,
    crispri_table,
    draw_expression,
    draw_promoter_copies,
    noise_ceiling,
    pair_elements,
    promoter_strength,
)
from seq2exp.simulate.layout import draw_layout
from seq2exp.simulate.sequence import paint_genome
from seq2exp.simulate.settings import Settings
from seq2exp.simulate.signals import ASSAYS, draw_tracks

__all__ = ["Settings", "noise_ceiling", "simulate"]

STAMP = "simulation.json"
FORMAT = 2
"""Of the folder: a simulation with other files is made anew."""


def simulate(outdir: str | Path, seed: int = 1, settings: Settings | None = None) -> pd.DataFrame:
    """Write a simulated genome and return its noise ceilings (see `expression.ceiling_table`).

    Nothing is done where ``outdir`` already holds the same simulation. The folder appears whole
    or not at all.

    Raises
    ------
    UserError
        If ``outdir`` holds files that no earlier simulation wrote.
    """
    outdir, settings = Path(outdir), settings or Settings()
    # Through JSON, so that it compares equal with a stamp read back: tuples become lists.
    facts = {"version": seq2exp.__version__, "format": FORMAT, "seed": seed}
    stamp = json.loads(json.dumps({**facts, "settings": asdict(settings)}))
    if _is_done(outdir, stamp):
        return pd.read_csv(outdir / "truth" / "ceiling.tsv", sep="\t")
    outdir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{outdir.name}.", dir=outdir.parent) as work:
        fresh = Path(work) / "fresh"
        ceilings = _write_all(fresh, seed, settings)
        stamp["files"] = sorted(_files(fresh))
        stamp["ceilings"] = ceilings.to_dict(orient="records")
        (fresh / STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
        if outdir.exists():
            os.replace(outdir, Path(work) / "stale")
        os.replace(fresh, outdir)
    return ceilings


def _files(folder: Path) -> set[str]:
    """Return the relative paths of all files in a folder, hidden ones left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {path.as_posix() for path in found if not path.name.startswith(".")}


def _is_done(outdir: Path, stamp: dict) -> bool:
    """Return whether ``outdir`` holds this simulation; refuse a folder that is not ours."""
    if not outdir.exists():
        return False
    present = _files(outdir) if outdir.is_dir() else {outdir.name}
    try:
        found = json.loads((outdir / STAMP).read_text()) if STAMP in present else {"files": []}
        known = set(found["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{outdir / STAMP}: not a simulation's stamp ({error}); choose another folder"
        ) from error
    if foreign := present - known - {STAMP}:
        raise UserError(
            f"{outdir}: holds {min(foreign)!r}, which no simulation wrote; choose another folder"
        )
    return known <= present and all(found.get(key) == value for key, value in stamp.items())


def _write_all(folder: Path, seed: int, settings: Settings) -> pd.DataFrame:
    """Draw everything and write all files but the stamp."""
    streams = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(6))
    layout_rng, sequence_rng, expression_rng, signal_rng, contact_rng, crispri_rng = streams
    truth = folder / "truth"
    truth.mkdir(parents=True)
    layout = draw_layout(settings, layout_rng)
    copies = draw_promoter_copies(settings, expression_rng)
    strength = promoter_strength(copies, settings)
    pairs = pair_elements(layout, settings)
    expression, pairs = draw_expression(layout.genes, strength, pairs, settings, expression_rng)
    ceilings = ceiling_table(expression, settings)

    genome = paint_genome(layout, copies, settings, sequence_rng)
    writers.write_fasta(folder / "genome.fa.gz", genome, sequence_rng)
    sizes = pd.DataFrame(layout.chrom_sizes.items())
    writers.write_table(folder / "chrom.sizes", sizes, header=False)
    writers.write_annotation(folder / "annotation.gtf.gz", layout.genes)
    writers.write_blacklist(folder / "blacklist.bed", layout.blacklist)
    labels = writers.label_table(expression, settings)
    writers.write_table(folder / "labels.tsv", labels)
    for i, cell_line in enumerate(settings.cell_lines):
        for assay in ASSAYS:
            track = draw_tracks(layout, strength[:, i], i, assay, settings, signal_rng)
            path = folder / f"{cell_line}.{assay}.bw"
            writers.write_track(path, layout.chrom_sizes, track, settings.signal_step)
            if assay == "DNase":
                path = folder / f"{cell_line}.DNase.peaks.bed"
                writers.write_peaks(path, layout.chrom_sizes, track, settings.signal_step)
        own = expression[expression["cell_line"] == cell_line].set_index("gene_id")["label"]
        writers.write_cage(folder / f"{cell_line}.CAGE.bw", layout, own)
        path = folder / f"{cell_line}.contacts.cool"
        write_contacts(path, layout.chrom_sizes, layout.gaps, settings, contact_rng)
    writers.write_elements(truth / "elements.bed", layout.elements, settings)
    writers.write_table(truth / "pairs.tsv", pairs)
    writers.write_table(truth / "crispri_pairs.tsv", crispri_table(pairs, crispri_rng))
    writers.write_table(truth / "expression.tsv", expression)
    writers.write_table(truth / "ceiling.tsv", ceilings)
    return ceilings
