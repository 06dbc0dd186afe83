from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.crispri_scores import write_run_scores

    given = {name: Path(file) for name, file in snakemake.input.items()}
    write_run_scores(
        baselines=given["baselines"],
        masks_dir=given["masks"],
        store_dir=given["store"],
        predictions=given["predictions"],
        elements=given["regions"],
        **{f"out_{name}": Path(file) for name, file in snakemake.output.items()},
    )
