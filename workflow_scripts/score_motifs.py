from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.motif_scores import write_motif_scores

    write_motif_scores(
        elements=Path(snakemake.input.elements),
        masks_dir=Path(snakemake.input.masks),
        store_dir=Path(snakemake.input.store),
        predictions=Path(snakemake.input.predictions),
        motifs=Path(snakemake.input.motifs),
        max_regions=snakemake.params.max_regions,
        out_table=Path(snakemake.output.table),
    )
