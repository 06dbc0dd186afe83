from seq2exp.jobs import job

with job(snakemake):
    from pathlib import Path

    from seq2exp.matrix import Matrix
    from seq2exp.paper.build import build_paper
    from seq2exp.paper.results import run_files

    given, matrix = snakemake.input, Matrix(**snakemake.params.matrix)
    build_paper(
        matrix,
        run_files(matrix, given.metrics, given.predictions, given.views),
        Path(snakemake.output.index).parent,
        loci=[Path(file) for file in given.loci],
    )
