from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.evaluation_config import RegionsConfig
    from seq2exp.false_discovery import choose_cut
    from seq2exp.regions import export_regions

    given, out = snakemake.input, {name: Path(file) for name, file in snakemake.output.items()}
    regions = RegionsConfig(**snakemake.params.regions)
    track, shuffled = snakemake.wildcards.get("track", "mask"), given.get("shuffled")
    cut = shuffled and choose_cut(
        Path(given.masks), Path(shuffled), regions.threshold, track=track, out_table=out["fdr"]
    )
    export_regions(
        *(Path(given.masks), Path(given.predictions), Path(given.chrom_sizes)),
        out_bed_gz=out["bed"],
        out_tbi=out["index"],
        out_narrowpeak=out["narrowpeak"],
        out_bigwig=out.get("bigwig"),
        **{"regions": regions, "track": track, "cut": cut},
    )
