from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.prediction import predict

    masks = snakemake.output.get("masks")
    predict(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.store),
        Path(snakemake.input.folds),
        out_table=Path(snakemake.output.table),
        out_masks=Path(masks) if masks else None,
        mask_splits=snakemake.params.mask_splits,
        batch_size=snakemake.params.batch_size,
        workers=snakemake.resources.workers,
        device=snakemake.params.device,
    )
