"""Files of the config that are not on this disk: fetched once, checked, kept."""


# The package's version is no parameter here: a new version must not download 40 GB again.
rule fetch_source:
    output:
        f"{RESULTS}/sources/{{file}}",
    log:
        f"{LOGS}/fetch_source/{{file}}.log",
    wildcard_constraints:
        file=any_of(map(re.escape, FETCHED)),
    retries: 3
    localrule: True
    conda:
        ENVIRONMENT
    params:
        key=lambda wildcards: FETCHED[wildcards.file][0],
        source=lambda wildcards: FETCHED[wildcards.file][1].model_dump(exclude_none=True),
    script:
        "../workflow_scripts/fetch_source.py"
