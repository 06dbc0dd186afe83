from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.tracks import write_bedgraph

    write_bedgraph(Path(snakemake.input.dnase), Path(snakemake.output[0]))
