from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.figures.locus import draw_loci
    from seq2exp.loci import locus_inputs

    params = snakemake.params
    draw_loci(
        [Path(file) for file in snakemake.output],
        locus_inputs(dict(snakemake.input.items()), params.references, params.cell_type),
        title=params.title,
    )
