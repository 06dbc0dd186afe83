from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.summary import write_view_summary

    write_view_summary(
        [Path(file) for file in snakemake.input],
        snakemake.params.runs,
        out_table=Path(snakemake.output.table),
    )
