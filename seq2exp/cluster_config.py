"""The section `cluster` of config.yaml: what only a site knows of its Slurm."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from seq2exp.config_types import Strict

SlurmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:@-]*$", max_length=256)]
"""Name of an account, a partition, a QOS: nothing that a shell would read otherwise."""
Constraint = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:&|*()\[\]-]*$")]
"""Features of nodes, as ``sbatch --constraint`` takes them."""
GpuType = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$")]

OWN_KEYS = {
    "account": "cluster.account",
    "partition": "cluster.partition or cluster.gpu_partition",
    "qos": "cluster.qos",
    "constraint": "cluster.constraint",
    "gres": "cluster.gpu_request and cluster.gpu_type",
    "gpus": "training.devices and cluster.gpu_type",
    "gpus-per-node": "training.devices and cluster.gpu_type",
    "nodes": "training.nodes",
    "mem": "resources.max_mem_mb",
    "mem-per-cpu": "resources.max_mem_mb",
    "time": "resources.max_runtime_min",
    "cpus-per-task": "resources.training_threads",
}
"""Options of sbatch that must not stand in ``extra``, and the key that is there for each."""
TAKEN = (
    *("job-name", "output", "error", "parsable", "export", "comment", "workdir", "chdir", "array"),
    *("ntasks", "ntasks-per-gpu", "ntasks-per-node", "cpus-per-gpu", "clusters", "signal", "wrap"),
)
"""Options that the workflow itself, or Snakemake, gives to sbatch."""


def _sbatch_options(value: str) -> str:
    for option in value.split():
        name = option.removeprefix("--").partition("=")[0]
        if not option.startswith("--") or not name:
            raise ValueError(
                f"{option!r} is no long option; write --option or --option=value, without spaces "
                "inside"
            )
        if name in OWN_KEYS:
            raise ValueError(f"--{name} does not go here; use {OWN_KEYS[name]}")
        if name in TAKEN:
            raise ValueError(f"--{name} is set by the workflow; remove it")
    return value


Extra = Annotated[str, Field(pattern=r"^[A-Za-z0-9_=:.,/@%+ -]*$"), AfterValidator(_sbatch_options)]
"""More options of sbatch, none that a shell would read otherwise."""


class Layout(NamedTuple):
    """Nodes of a job, and what it has on each."""

    nodes: int = 1
    processes: int = 1
    gpus: int = 0


class ClusterConfig(Strict):
    """What a site's Slurm wants to be told; used by ``snakemake --profile slurm`` alone."""

    account: SlurmName | None = None
    partition: SlurmName | None = None
    """Of every job; Slurm's default partition when left out."""
    gpu_partition: SlurmName | None = None
    """Of jobs with a GPU; ``partition`` when left out."""
    qos: SlurmName | None = None
    constraint: Constraint | None = None
    gpu_request: Literal["gpus", "gres"] = "gpus"
    """``--gpus=1``, or ``--gres=gpu:1`` for sites that know only that."""
    gpu_type: GpuType | None = None
    """Kind of GPU as the site names it (``sinfo -o %G``)."""
    extra: Extra = ""
    """More options of sbatch, for every job."""
    gpu_extra: Extra = ""
    """Those that only jobs with a GPU get as well."""

    def job_resources(
        self, layout: Layout, options: str = "", threads: int = 1
    ) -> dict[str, int | str | None]:
        """Resources that Snakemake's executor for Slurm reads.

        Parameters
        ----------
        layout
            Of the job.
        options
            Further options of sbatch.
        threads
            Of the job on each node, for all its processes there.

        Returns
        -------
        dict
            None is a resource that is left out.
        """
        spread = layout.nodes > 1
        given = [
            options,
            f"--ntasks-per-node={layout.processes}" if spread else "",
            self._gpus_per_node(layout),
            self.extra,
            self.gpu_extra if layout.gpus else "",
        ]
        return {
            "slurm_account": self.account,
            "slurm_partition": (layout.gpus and self.gpu_partition) or self.partition,
            "qos": self.qos,
            "constraint": self.constraint,
            "slurm_extra": " ".join(filter(None, given)) or None,
            # The executor starts a job with the resource mpi once, in the batch script on the first
            # node; any other with `srun -n1`, which is for one node.
            "mpi": "srun" if spread else None,
            "tasks": layout.nodes * layout.processes if spread else None,
            "tasks_per_gpu": 0 if spread else None,  # else the executor takes tasks for it
            "cpus_per_task": max(1, threads // layout.processes) if spread else None,
            **self._gpu_resources(layout),
        }

    def _gpus_per_node(self, layout: Layout) -> str:
        # --gpus=4 on two nodes may be three and one.
        if layout.nodes == 1 or not layout.gpus or self.gpu_request == "gres":
            return ""
        return f"--gpus-per-node={self._kind_of_gpu}{layout.gpus}"

    def _gpu_resources(self, layout: Layout) -> dict[str, int | str | None]:
        # One style alone: Slurm refuses jobs that mix the two.
        if layout.gpus and self.gpu_request == "gres":
            gres = f"gpu:{self._kind_of_gpu}{layout.gpus}"  # Slurm takes it as of each node
            return {"gpu": 0, "gpu_model": None, "gres": gres}
        gpus = layout.gpus if layout.nodes == 1 else 0
        return {"gpu": gpus, "gpu_model": self.gpu_type if gpus else None, "gres": None}

    @property
    def _kind_of_gpu(self) -> str:
        return f"{self.gpu_type}:" if self.gpu_type else ""
