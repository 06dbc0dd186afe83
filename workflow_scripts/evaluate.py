from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evaluation import evaluate
    from seq2exp.planted import PlantedTruth

    files = {name: Path(file) for name, file in snakemake.input.items() if name != "truth"}
    out = {f"out_{name}": Path(file) for name, file in snakemake.output.items()}
    evaluate(
        checkpoint=files["checkpoint"],
        metrics=files["metrics"],
        store_dir=files["store"],
        predictions=files["predictions"],
        masks=files.get("masks"),
        truth=PlantedTruth(*map(Path, snakemake.input.truth)) if snakemake.input.truth else None,
        batch_size=snakemake.params.batch_size,
        device=snakemake.params.device,
        **out,
    )
