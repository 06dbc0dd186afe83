from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import PowerLaw
    from seq2exp.contacts import HiCInputs
    from seq2exp.evidence.baselines import SignalFiles, write_baselines
    from seq2exp.evidence.crispri import LinkInputs

    given, params = snakemake.input, snakemake.params
    write_baselines(
        Path(snakemake.output.table),
        crispri=Path(given.crispri),
        cell_type=params.cell_type,
        signals=SignalFiles(Path(given.h3k27ac), Path(given.dnase), params.missing),
        chrom_sizes=Path(given.chrom_sizes),
        blacklist=Path(given.blacklist) if given.blacklist else None,
        hic=HiCInputs(Path(given.hic), **params.hic) if given.hic else None,
        power_law=PowerLaw(**params.power_law),
        predictions={
            name: LinkInputs(Path(file), params.predictions[name])
            for name, file in zip(params.predictions, given.predictions, strict=True)
        },
    )
