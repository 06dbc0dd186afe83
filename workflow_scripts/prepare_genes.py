from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.annotation import prepare_genes

    annotation, genes = snakemake.input.annotation, snakemake.input.genes
    prepare_genes(
        Path(snakemake.output.table),
        Path(snakemake.output.dropped),
        fasta=Path(snakemake.input.fasta),
        chrom_sizes=Path(snakemake.input.chrom_sizes),
        annotation=Path(annotation) if annotation else None,
        genes=Path(genes) if genes else None,
        gene_types=snakemake.params.gene_types,
        n_fraction_span=snakemake.params.n_fraction_span,
        max_n_fraction=snakemake.params.max_n_fraction,
    )
