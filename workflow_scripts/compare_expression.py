from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.differences import write_differences
    from seq2exp.matrix import Cell

    write_differences(
        [Cell(*run) for run in snakemake.params.runs],
        [Path(file) for file in snakemake.input.predictions],
        window_length=snakemake.params.window_length,
        out_table=Path(snakemake.output.table),
    )
