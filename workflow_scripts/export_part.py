from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.regions import export_bigwig

    export_bigwig(
        Path(snakemake.input.masks),
        Path(snakemake.input.predictions),
        Path(snakemake.input.chrom_sizes),
        track=snakemake.wildcards.part,
        out=Path(snakemake.output.bigwig),
    )
