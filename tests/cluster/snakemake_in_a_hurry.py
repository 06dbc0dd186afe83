"""Snakemake as it is, but that it asks Slurm every three seconds: users can wait, tests cannot."""

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

SECONDS = 3.0

if __name__ == "__main__":
    Executor.next_seconds_between_status_checks = property(
        lambda executor: SECONDS, lambda executor, seconds: None
    )
    main()
