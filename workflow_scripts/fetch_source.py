from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import Source
    from seq2exp.sources import fetch

    fetch(
        Source(**snakemake.params.source),
        Path(snakemake.output[0]),
        name=snakemake.params.key,
    )
