from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.specificity import CellLineFiles, write_specificity

    given = snakemake.input
    files = zip(given.elements, given.masks, given.stores, strict=True)
    cell_lines = zip(snakemake.params.cell_lines, files, strict=True)
    write_specificity(
        {name: CellLineFiles(*map(Path, paths)) for name, paths in cell_lines},
        out_elements=Path(snakemake.output.elements),
        out_summary=Path(snakemake.output.summary),
    )
