from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.browser.elements import export_elements
    from seq2exp.browser.links import export_links

    given = snakemake.input
    chrom_sizes, scores = Path(given.chrom_sizes), given.scores
    export_elements(Path(given.regions), chrom_sizes, out=Path(snakemake.output.elements))
    export_links(
        Path(given.regions),
        Path(given.predictions),
        chrom_sizes,
        promoter_length=snakemake.params.promoter_length,
        out=Path(snakemake.output.links),
        element_scores=Path(scores),
    )
