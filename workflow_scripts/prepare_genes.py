from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.annotation import prepare_genes

    given = {
        name: Path(snakemake.input[name])
        for name in ("fasta", "chrom_sizes", "annotation", "genes", "features")
        if snakemake.input[name]
    }
    prepare_genes(
        Path(snakemake.output.table),
        Path(snakemake.output.dropped),
        **given,
        features_id=snakemake.params.features_id,
        gene_types=snakemake.params.gene_types,
        n_fraction_span=snakemake.params.n_fraction_span,
        max_n_fraction=snakemake.params.max_n_fraction,
    )
