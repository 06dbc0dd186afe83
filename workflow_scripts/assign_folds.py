from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import FoldsConfig
    from seq2exp.folds import assign_folds
    from seq2exp.schemas import GENE_COLUMNS, read_table, write_table

    genes = read_table(Path(snakemake.input.genes), GENE_COLUMNS)
    folds = assign_folds(genes, FoldsConfig(**snakemake.params.folds))
    write_table(folds, Path(snakemake.output.table))
