from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evaluation_config import ViewConfig
    from seq2exp.views import predict_views

    predict_views(
        Path(snakemake.input.checkpoint),
        Path(snakemake.input.store),
        Path(snakemake.input.predictions),
        {name: ViewConfig(**view) for name, view in snakemake.params.views.items()},
        out_table=Path(snakemake.output.table),
        batch_size=snakemake.params.batch_size,
        workers=snakemake.resources.workers,
        device=snakemake.params.device,
    )
