from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.config import parse_config
    from seq2exp.downloads.fetch import fetch
    from seq2exp.downloads.origin import depot_of
    from seq2exp.sources import plan_sources

    # Not parameters: a checksum that was added to the config must not make everything anew.
    config = parse_config(snakemake.config)
    fetch(plan_sources(config).fetched[Path(snakemake.output[0]).name], depot_of(config))
