from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import PowerLaw, WindowConfig
    from seq2exp.contacts import HiCInputs
    from seq2exp.expression import LabelInputs
    from seq2exp.store import build_store

    given, params = snakemake.input, snakemake.params
    needed = ("fasta", "chrom_sizes", "genes_table", "h3k27ac", "dnase")
    build_store(
        Path(snakemake.output[0]),
        cell_line=snakemake.wildcards.cell_line,
        genome_name=params.genome_name,
        **{name: Path(given[name]) for name in needed},
        blacklist=Path(given.blacklist) if given.blacklist else None,
        hic=HiCInputs(Path(given.hic), **params.hic) if given.hic else None,
        labels={assay: LabelInputs(**label) for assay, label in params.labels.items()},
        peaks=Path(given.peaks) if given.peaks else None,
        window=WindowConfig(**params.window),
        power_law=PowerLaw(**params.power_law),
    )
