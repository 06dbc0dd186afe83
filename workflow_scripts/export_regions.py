from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evaluation_config import RegionsConfig
    from seq2exp.regions import export_regions

    export_regions(
        Path(snakemake.input.masks),
        Path(snakemake.input.predictions),
        Path(snakemake.input.chrom_sizes),
        regions=RegionsConfig(**snakemake.params.regions),
        out_bed_gz=Path(snakemake.output.bed),
        out_tbi=Path(snakemake.output.index),
        out_narrowpeak=Path(snakemake.output.narrowpeak),
        out_bigwig=Path(snakemake.output.bigwig),
    )
