from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.crispri_scores import write_pooled_scores

    write_pooled_scores(
        [Path(file) for file in snakemake.input.pairs],
        out_performance=Path(snakemake.output.performance),
        out_curves=Path(snakemake.output.curves),
    )
