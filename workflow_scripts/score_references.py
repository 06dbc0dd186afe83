from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evidence.reference_scores import write_reference_scores
    from seq2exp.evidence.references import ReferenceInputs

    given, settings = snakemake.input, snakemake.params.references
    write_reference_scores(
        elements=Path(given.elements),
        masks_dir=Path(given.masks),
        store_dir=Path(given.store),
        predictions=Path(given.predictions),
        references={
            name: ReferenceInputs(Path(file), **settings[name])
            for name, file in zip(settings, given.references, strict=True)
        },
        peaks=Path(given.peaks) if given.peaks else None,
        **{f"out_{name}": Path(file) for name, file in snakemake.output.items()},
    )
