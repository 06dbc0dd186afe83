from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.browser.hub import write_hub
    from seq2exp.browser.hub_tracks import HubRun

    params = snakemake.params
    write_hub(
        Path(snakemake.output.hub),
        name=params.name,
        email=params.email,
        genome=params.genome,
        runs=[HubRun(**{**run, "folder": Path(run["folder"])}) for run in params.runs],
        signals={
            cell_line: {assay: Path(file) for assay, file in files.items()}
            for cell_line, files in params.signals.items()
        },
        chrom_sizes=Path(snakemake.input.chrom_sizes),
        fasta=Path(snakemake.input.fasta),
    )
