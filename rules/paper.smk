"""The paper's tables, figures and page over all runs: ``snakemake paper``."""

from seq2exp.paper.files import NUMBERS, figure_names, table_names

TABLES, PICTURES = table_names(MATRIX), figure_names(MATRIX)
EXAMPLE = MATRIX.example()
EXAMPLE_LOCI = [f"{FIGURES}/locus_{i}.png".format(**EXAMPLE._asdict()) for i in LOCI if EXAMPLE]


def of_all_runs(path):
    """The file of every run, in the order of the matrix."""
    return [path.format(**run) for run in RUNS]


def paper_report(path, name, caption):
    """A file of the paper, marked for the report."""
    labels = {"paper": name.replace("_", " ")}
    return report(f"{PAPER}/{path}", category="Paper", labels=labels, caption=caption)


rule build_paper:
    input:
        metrics=of_all_runs(rules.train.output.metrics),
        predictions=of_all_runs(rules.predict.output.table),
        views=of_all_runs(rules.views.output.table) if MATRIX.views else [],
        loci=EXAMPLE_LOCI,
    output:
        numbers=expand(f"{PAPER}/numbers/{{name}}.tsv", name=NUMBERS),
        tables=expand(f"{PAPER}/tables/{{name}}.{{kind}}", name=TABLES, kind=["tsv", "tex"]),
        pages=[
            paper_report(f"tables/{name}.html", name, "../report/paper_tables.rst")
            for name in TABLES
        ],
        png=[
            paper_report(f"figures/{name}.png", name, "../report/paper_figures.rst")
            for name in PICTURES
        ],
        pdf=expand(f"{PAPER}/figures/{{name}}.pdf", name=PICTURES),
        index=paper_report("index.html", "all", "../report/paper_index.rst"),
    log:
        f"{LOGS}/build_paper.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        matrix=MATRIX.model_dump(mode="json"),
        folder=PAPER,
    script:
        "../workflow_scripts/build_paper.py"
