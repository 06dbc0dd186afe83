from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.enrichment import reference_overlap

    reference_overlap(
        Path(snakemake.input.enrichment),
        Path(snakemake.input.equal),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
    )
