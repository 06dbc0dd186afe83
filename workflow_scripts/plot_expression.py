from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.expression import predicted_vs_observed

    predicted_vs_observed(
        Path(snakemake.input.predictions),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
        assay=snakemake.wildcards.assay,
        transform=snakemake.params.transform,
    )
