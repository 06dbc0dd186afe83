from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.locus import draw_loci

    planted = snakemake.input.planted
    draw_loci(
        [Path(file) for file in snakemake.output],
        masks=Path(snakemake.input.masks),
        store_dir=Path(snakemake.input.store),
        predictions=Path(snakemake.input.predictions),
        regions=Path(snakemake.input.regions),
        planted=Path(planted) if planted else None,
        title=snakemake.params.title,
    )
