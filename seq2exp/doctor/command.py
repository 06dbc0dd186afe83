"""``seq2exp check``: every file of a config that is on this disk, examined without the workflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seq2exp.annotation import prepare_genes
from seq2exp.config import Config
from seq2exp.contacts import HiCInputs
from seq2exp.doctor.assemblies import assemblies, infer_assembly
from seq2exp.doctor.cell_line import (
    NOT_CALLED,
    NOT_FETCHED,
    CellLine,
    Reference,
    check_cell_line,
    read_reference,
)
from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.compare import compare_cell_lines
from seq2exp.doctor.genes import note_splits
from seq2exp.expression import LabelInputs
from seq2exp.folds import assign_folds
from seq2exp.inputs import called_peaks, hic_settings, label_settings, peaks_file
from seq2exp.preflight import problems
from seq2exp.reference import prepare_genome, read_chrom_sizes
from seq2exp.source_config import Source
from seq2exp.sources import local_path, plan_sources


def check(config: Config) -> list[Checkup]:
    """Examine all files of a config that are on this disk, fetched ones too.

    Genome and genes are prepared as the workflow does, in a temporary folder under
    ``config.results``; a genome that the workflow has prepared from the same FASTA is used.

    Returns
    -------
    list of Checkup
        What all cell lines share, then each cell line.
    """
    copies = plan_sources(config).paths
    files = {key: _file_of(Path(copies[key]), source) for key, source in config.sources()}
    absent = {path: NOT_FETCHED for path in files.values() if not path.exists()}
    shared = Checkup()
    for key, problem in problems(config, across=False):
        absent[files[key]] = problem
    for key, path in files.items():
        if not key.startswith("cell_lines."):
            shared.note(key, file=str(path))
            if absent.get(path) == NOT_FETCHED:
                shared.note(key, state=NOT_FETCHED)
            elif path in absent:
                shared.say("error", key, absent[path])
    for name in called_peaks(config):
        path = Path(str(peaks_file(config, copies, name)))
        if not path.exists():
            absent[path] = NOT_CALLED
    missing = sum(state == NOT_FETCHED for state in absent.values())
    if missing:
        shared.say(
            "hint",
            "sources",
            f"{missing} files are {NOT_FETCHED}; seq2exp download CONFIG brings them",
        )
    checkups, promoters = [], []
    with _reference(config, files, absent, shared) as reference:
        for name in config.cell_lines:
            cell_line = _cell_line(config, name, files, absent)
            checkup, found = check_cell_line(cell_line, reference, config.window)
            checkups.append(checkup)
            promoters.append(found)
    if reference is not None:
        with shared.examining("folds"):
            folds = assign_folds(reference.genes, config.folds)
            for checkup, found in zip(checkups, promoters, strict=True):
                note_splits(checkup, found, folds, config.folds.run)
        compare_cell_lines(promoters, checkups)
    return [shared, *checkups]


def _file_of(copy: Path, source: Source) -> Path:
    """The fetched copy, or where there is none yet the local file itself."""
    local = local_path(source)
    if local is None or source.member or copy.exists():
        return copy
    return local


def _cell_line(
    config: Config, name: str, files: dict[str, Path], absent: dict[Path, str]
) -> CellLine:
    key = f"cell_lines.{name}"
    paths = {key: str(path) for key, path in files.items()}
    hic = hic_settings(config, name)
    labels = label_settings(config, paths, name)
    peaks = peaks_file(config, paths, name)
    return CellLine(
        name,
        h3k27ac=files[f"{key}.h3k27ac"],
        dnase=files[f"{key}.dnase"],
        hic=None if hic is None else HiCInputs(files[f"{key}.hic"], **hic),
        labels={assay: LabelInputs(**given) for assay, given in labels.items()},
        peaks=None if peaks is None else Path(peaks),
        absent=absent,
    )


@contextmanager
def _reference(
    config: Config, files: dict[str, Path], absent: dict[Path, str], shared: Checkup
) -> Iterator[Reference | None]:
    """Prepare genome, genes and folds; None where a file is missing or something is wrong."""
    genome = config.genome
    given = "genome.annotation" if genome.annotation else "genome.genes"
    if files["genome.fasta"] in absent or files[given] in absent:
        shared.note("genome", state="genome or genes are not there: genes cannot be examined yet")
        yield None
        return
    results = Path(config.results)
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".check-", dir=results) as temporary:
        reference = None
        with shared.examining("genome"):
            reference = _prepare(config, files, Path(temporary), shared)
        yield reference


def _prepare(config: Config, files: dict[str, Path], folder: Path, shared: Checkup) -> Reference:
    genome, window = config.genome, config.window
    prepared = Path(config.results) / "reference" / genome.name
    if not _is_current(prepared, files["genome.fasta"], genome.chromosomes):
        prepared = folder
        prepare_genome(
            files["genome.fasta"],
            folder / "genome.fa",
            folder / "chrom.sizes",
            genome.chromosomes,
        )
    sizes = read_chrom_sizes(prepared / "chrom.sizes")
    _judge_name(shared, genome.name, infer_assembly(sizes))
    shared.note("genome", chromosomes=str(len(sizes)))
    prepare_genes(
        folder / "genes.tsv",
        folder / "genes_dropped.tsv",
        fasta=prepared / "genome.fa",
        chrom_sizes=prepared / "chrom.sizes",
        annotation=files.get("genome.annotation"),
        genes=files.get("genome.genes"),
        gene_types=genome.gene_types,
        n_fraction_span=window.n_fraction_span or window.length,
        max_n_fraction=window.max_n_fraction,
    )
    return read_reference(
        prepared / "chrom.sizes", folder / "genes.tsv", folder / "genes_dropped.tsv"
    )


def _is_current(prepared: Path, fasta: Path, chromosomes: tuple[str, ...] | None) -> bool:
    """Whether the workflow has prepared this genome from this FASTA, with these chromosomes."""
    parts = [prepared / name for name in ("genome.fa", "genome.fa.fai", "chrom.sizes")]
    if not all(part.exists() and part.stat().st_mtime > fasta.stat().st_mtime for part in parts):
        return False
    return chromosomes is None or set(read_chrom_sizes(parts[2])) == set(chromosomes)


def _judge_name(shared: Checkup, name: str, assembly: str) -> None:
    shared.note("genome", name=name, assembly=assembly)
    claimed = [known for known in assemblies() if name.lower().startswith(known.lower())]
    if claimed and assembly not in claimed:
        shared.say(
            "warning",
            "genome",
            f"genome.name is {name!r}, but by its chromosome sizes it is {assembly}; give the FASTA "
            "of the assembly that the other files are of, or correct the name",
        )
