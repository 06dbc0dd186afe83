from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.agreement import RunFiles, write_agreement

    given = snakemake.input
    runs = zip(given.masks, given.elements, strict=True)
    stores = zip(snakemake.params.cell_lines, map(Path, given.stores), strict=True)
    write_agreement(
        [RunFiles(Path(masks), Path(elements)) for masks, elements in runs],
        dict(stores),
        Path(snakemake.output.table),
    )
