"""Regions as genome browsers open them: bigWigs of the mask's parts, bigBed, a page, a track hub."""


rule export_part:
    input:
        masks=rules.predict.output.masks,
        predictions=rules.predict.output.table,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
    output:
        bigwig=f"{REGIONS}/{{part}}.bw",
    log:
        f"{LOGS}/export_part/{RUN}/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/export_part/{RUN}/{{part}}.tsv"
    wildcard_constraints:
        part="sequence_part|prior",
    group:
        "figures"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
        slots=1,
    params:
        code=CODE,
    script:
        "../workflow_scripts/export_part.py"


rule export_bigbeds:
    input:
        regions=rules.export_regions.output.bed,
        predictions=rules.predict.output.table,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
        scores=rules.score_elements.output.table,
    output:
        elements=f"{REGIONS}/elements.bb",
        links=f"{REGIONS}/links.bb",
    log:
        f"{LOGS}/export_bigbeds/{RUN}.log",
    group:
        "browser"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=plot_runtime,
        slots=1,
    params:
        code=CODE,
        promoter_length=CONFIG.window.promoter_length,
    script:
        "../workflow_scripts/export_bigbeds.py"


rule igv_page:
    input:
        masks=rules.predict.output.masks,
        store=STORE,
        predictions=rules.predict.output.table,
        regions=rules.export_regions.output.bed,
        planted=source("evaluation.truth.elements"),
        peaks=peaks_of,
        references=reference_files,
        crispri=source_of("crispri"),
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
        scores=rules.score_elements.output.table,
    output:
        page=report(
            IGV_PAGE,
            caption="../report/igv_page.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS,
        ),
    log:
        f"{LOGS}/igv_page/{RUN}.log",
    wildcard_constraints:
        fold=str(CONFIG.folds.run[0]),
        seed=str(CONFIG.seeds[0]),
    group:
        "browser"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=plot_runtime,
        slots=1,
    params:
        code=CODE,
        title=title,
        genome=CONFIG.genome.name,
        loci=CONFIG.browser.igv_loci,
        references=reference_settings,
        cell_type=cell_type,
    script:
        "../workflow_scripts/igv_page.py"


# Pages hold a browser of 1.4 MB each: those of the other folds and seeds are not in the report.
use rule igv_page as igv_page_of_other_runs with:
    output:
        page=IGV_PAGE,
    wildcard_constraints:
        fold=r"\d+",
        seed=r"\d+",


ruleorder: igv_page > igv_page_of_other_runs


rule build_hub:
    input:
        bigwigs=[
            f"{REGIONS}/{track}.bw".format(**run)
            for run in HUB_RUNS
            for track in ("mask", *PARTS[run["model"]])
        ],
        bigbeds=[
            f"{REGIONS}/{name}".format(**run)
            for run in HUB_RUNS
            for name in ("elements.bed.gz", "elements.bb", "links.bb")
        ],
        signals=[
            source(f"cell_lines.{name}.{signal}")
            for name in CONFIG.cell_lines
            for signal in ("h3k27ac", "dnase")
        ],
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
        fasta=rules.prepare_genome.output.fasta,
    output:
        hub=directory(HUB),
    log:
        f"{LOGS}/build_hub.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=evidence_runtime,
    params:
        code=CODE,
        genome=CONFIG.genome.name,
        name=CONFIG.browser.name,
        email=CONFIG.browser.email,
        runs=[
            {**run, "folder": REGIONS.format(**run), "tracks": ("mask", *PARTS[run["model"]])}
            for run in HUB_RUNS
        ],
        signals={
            name: {
                signal: source(f"cell_lines.{name}.{signal}") for signal in ("h3k27ac", "dnase")
            }
            for name in CONFIG.cell_lines
        },
    script:
        "../workflow_scripts/build_hub.py"
