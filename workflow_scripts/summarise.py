from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.summary import write_summary

    write_summary(
        [Path(file) for file in snakemake.input.evaluations],
        [Path(file) for file in snakemake.input.evidence],
        out_json=Path(snakemake.output.json),
        out_table=Path(snakemake.output.table),
    )
