import sys

from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import WindowConfig
    from seq2exp.contacts import HiCInputs
    from seq2exp.doctor.cell_line import CellLine, read_reference
    from seq2exp.doctor.outputs import write_check
    from seq2exp.expression import LabelInputs

    given, params, out = snakemake.input, snakemake.params, snakemake.output
    cell_line = CellLine(
        snakemake.wildcards.cell_line,
        *(Path(given[name]) for name in ("h3k27ac", "dnase")),
        hic=HiCInputs(Path(given.hic), **params.hic) if given.hic else None,
        labels={assay: LabelInputs(**label) for assay, label in params.labels.items()},
        peaks=Path(given.peaks) if given.peaks else None,
    )
    reference = read_reference(*map(Path, (given.chrom_sizes, given.genes, given.dropped)))
    outputs = {"out_table": Path(out.table), "out_promoters": Path(out.promoters)}
    warnings = write_check(cell_line, reference, WindowConfig(**params.window), **outputs)
sys.stderr.writelines(f"{line}\n" for line in warnings)
