"""One of several processes that train together: ``python -m seq2exp.training_process FOLDER``.

:mod:`seq2exp.launching` starts it, and leaves in the folder what is to be trained.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from seq2exp.errors import Stopped, UserError
from seq2exp.jobs import LOG_FORMAT
from seq2exp.process import prepare_process

JOB = "job.json"
"""In the work folder: a `seq2exp.runs.TrainingJob`."""
STOPPED = 75
"""Exit code after a signal (sysexits.h: try again)."""

log = logging.getLogger(__name__)


def main(folder: Path) -> int:
    """Train this process's share; returns the exit code."""
    # Slurm's tasks and Lightning's own way to number processes on one machine.
    rank = int(
        os.environ.get("SLURM_PROCID" if "LOCAL_RANK" not in os.environ else "LOCAL_RANK", 0)
    )
    threading.Thread(target=end_with_parent, daemon=True).start()
    level = logging.INFO if rank == 0 else logging.WARNING
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("seq2exp.runs").setLevel(logging.ERROR)  # the parent has said it
    logging.captureWarnings(True)
    try:
        fit_share(folder, rank)
    except Stopped:
        return STOPPED
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def fit_share(folder: Path, rank: int) -> None:
    """Open the job's data, build the same network as every other process, and fit it."""
    prepare_process()  # before torch is imported

    import torch

    from seq2exp.fitting import fit
    from seq2exp.runs import TrainingJob, open_splits
    from seq2exp.store import open_store

    job = TrainingJob.from_json((folder / JOB).read_text())
    store = open_store(job.store_dir)
    torch.manual_seed(job.run.seed)
    network = job.new_network(store)
    fit(job, network, open_splits(job, store), store.contact_bin, folder, rank=rank)


def end_with_parent() -> None:
    """End when standard input closes: the process that started this one is gone."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
