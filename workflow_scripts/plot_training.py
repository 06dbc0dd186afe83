from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.training import training_curves

    training_curves(
        Path(snakemake.input.history),
        Path(snakemake.input.metrics),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
    )
