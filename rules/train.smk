"""One model a cell line, assay, fold and seed."""


rule train:
    input:
        store=STORE,
        folds=rules.assign_folds.output.table,
        teacher=teacher,
        # Not trained on, but to be known before.
        check=ancient(rules.check_cell_line.output.table),
    output:
        checkpoint=f"{MODEL}/model.ckpt",
        metrics=f"{MODEL}/metrics.json",
        history=f"{MODEL}/history.csv",
    log:
        f"{LOGS}/train/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/train/{RUN}.tsv"
    conda:
        ENVIRONMENT
    threads: CONFIG.resources.training_threads
    resources:
        **on_cluster(training_layout, options=resources.warning_option(CONFIG.resources)),
        **CONFIG.training.model_dump(include=CONFIG.training.HOW - {"nodes"}),
        nodes=training_nodes,
        mem_mb=training_mem_mb,
        # TERM some time before the limit: training writes a checkpoint, the next attempt goes on.
        runtime=training_runtime,
        # Not parameters: they change how it is trained, not what comes out, so a finished model
        # must not be trained again for them.
    params:
        code=CODE,
        model=lambda wildcards: MODELS[wildcards.model].model_dump(mode="json"),
        training=CONFIG.training.model_dump(exclude=CONFIG.training.HOW),
        # Not an output: Snakemake deletes the outputs of a failed job, and with them the
        # checkpoints from which the next attempt goes on.
        work_dir=f"{RESULTS}/.training",
    script:
        "../workflow_scripts/train.py"
