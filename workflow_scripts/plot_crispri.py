from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.crispri import crispri_performance

    crispri_performance(
        Path(snakemake.input.performance),
        Path(snakemake.input.curves),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
    )
