"""Files of the config that are not on this disk: fetched once, checked, kept."""

import re

from seq2exp.sources import local_path


# Neither parameters nor the package's version here: nothing but a missing file, or a newer one on
# this disk, must fetch 40 GB again and make everything after it anew. seq2exp.downloads.fetch
# compares what is there with the config.
rule fetch_source:
    input:
        lambda wildcards: local_path(FETCHED[wildcards.file].source) or [],
    output:
        f"{RESULTS}/sources/{{file}}",
    log:
        f"{LOGS}/fetch_source/{{file}}.log",
    wildcard_constraints:
        file=any_of(map(re.escape, FETCHED)),
    # Downloads are repeated inside the job, where it helps and only as often as it helps.
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    script:
        "../workflow_scripts/fetch_source.py"
