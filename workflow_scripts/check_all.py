import sys

from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.doctor.outputs import write_all_checks

    given, out = snakemake.input, snakemake.output
    warnings = write_all_checks(
        [Path(file) for file in given.tables],
        [Path(file) for file in given.promoters],
        Path(given.folds),
        snakemake.params.runs,
        out_table=Path(out.table),
        out_page=Path(out.page),
    )
sys.stderr.writelines(f"{line}\n" for line in warnings)
