from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evaluation_config import EffectsConfig
    from seq2exp.evidence.element_scores import write_element_scores
    from seq2exp.evidence.references import ReferenceInputs

    files = snakemake.input
    settings = snakemake.params.references
    sources = dict(zip(settings, files.references, strict=True))
    single = ("checkpoint", "elements", "predictions")
    write_element_scores(
        **{name: Path(files[name]) for name in single},
        store_dir=Path(files.store),
        masks_dir=Path(files.masks),
        references={n: ReferenceInputs(Path(f), **settings[n]) for n, f in sources.items()},
        peaks=Path(files.peaks) if files.peaks else None,
        effects=EffectsConfig(**snakemake.params.effects),
        out_table=Path(snakemake.output.table),
        batch_size=snakemake.params.batch_size,
        device=snakemake.params.device,
    )
