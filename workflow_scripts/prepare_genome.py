from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.reference import prepare_genome

    prepare_genome(
        Path(snakemake.input.fasta),
        Path(snakemake.output.fasta),
        Path(snakemake.output.chrom_sizes),
        snakemake.params.chromosomes,
    )
