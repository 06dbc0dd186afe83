from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import PowerLaw, WindowConfig
    from seq2exp.contacts import HiCInputs
    from seq2exp.expression import LabelInputs
    from seq2exp.store import build_store

    files = {name: Path(file) for name, file in snakemake.input.items() if file and name != "labels"}
    build_store(
        Path(snakemake.output[0]),
        cell_line=snakemake.wildcards.cell_line,
        genome_name=snakemake.params.genome_name,
        fasta=files["fasta"],
        chrom_sizes=files["chrom_sizes"],
        genes_table=files["genes"],
        blacklist=files.get("blacklist"),
        h3k27ac=files["h3k27ac"],
        dnase=files["dnase"],
        hic=HiCInputs(files["hic"], **snakemake.params.hic) if "hic" in files else None,
        labels={assay: LabelInputs(**label) for assay, label in snakemake.params.labels.items()},
        window=WindowConfig(**snakemake.params.window),
        power_law=PowerLaw(**snakemake.params.power_law),
    )
