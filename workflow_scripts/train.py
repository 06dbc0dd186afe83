from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from pydantic import TypeAdapter

    from seq2exp.model_config import ModelConfig
    from seq2exp.training import Run, train
    from seq2exp.training_config import TrainingConfig

    wildcards = snakemake.wildcards
    how = {name: snakemake.resources[name] for name in TrainingConfig.HOW}
    train(
        Path(snakemake.input.store),
        Path(snakemake.input.folds),
        Run(wildcards.assay, int(wildcards.fold), int(wildcards.seed), wildcards.model),
        TypeAdapter(ModelConfig).validate_python(snakemake.params.model),
        TrainingConfig(**snakemake.params.training, **how),
        teacher=Path(snakemake.input.teacher) if snakemake.input.teacher else None,
        out_checkpoint=Path(snakemake.output.checkpoint),
        out_metrics=Path(snakemake.output.metrics),
        out_history=Path(snakemake.output.history),
        work_dir=Path(snakemake.params.work_dir),
    )
