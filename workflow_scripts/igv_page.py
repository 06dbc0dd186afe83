from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.browser.igv_page import write_igv_page
    from seq2exp.loci import locus_inputs

    given, params = dict(snakemake.input.items()), snakemake.params
    scores, chrom_sizes = given.pop("scores"), Path(given.pop("chrom_sizes"))
    write_igv_page(
        locus_inputs(given, params.references, params.cell_type),
        params.loci,
        chrom_sizes=chrom_sizes,
        genome=params.genome,
        title=params.title,
        out=Path(snakemake.output.page),
        element_scores=Path(scores),
    )
