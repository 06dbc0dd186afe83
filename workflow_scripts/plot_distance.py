from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.distance import mask_against_distance

    mask_against_distance(
        Path(snakemake.input.distance),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
    )
