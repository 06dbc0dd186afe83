from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.motifs import motif_shares

    motif_shares(
        Path(snakemake.input.motifs),
        [Path(file) for file in snakemake.output],
        title=snakemake.params.title,
    )
