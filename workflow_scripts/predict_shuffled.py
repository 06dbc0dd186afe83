from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.null_masks import predict_shuffled_masks

    predict_shuffled_masks(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.store),
        Path(snakemake.input.predictions),
        out_masks=Path(snakemake.output.masks),
        batch_size=snakemake.params.batch_size,
        workers=snakemake.resources.workers,
        device=snakemake.params.device,
    )
