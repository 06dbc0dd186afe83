"""One workflow job: where its messages go, and how it ends when the input is wrong."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from seq2exp.errors import Stopped, UserError
from seq2exp.process import prepare_process

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def share_package(repository: str | Path) -> None:
    """Let jobs in conda environments, which do not have the package, import it from here."""
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(repository), *([known] if known else [])])


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Run the body of a workflow script with its output in the rule's log.

    Everything that the body writes to stdout, stderr (C libraries and worker processes included),
    ``logging`` and ``warnings`` is appended to ``snakemake.log[0]``. Number-crunching libraries
    that are imported in the body use ``snakemake.threads`` threads.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives to a script; ``log``, ``rule`` and ``threads`` are read.

    Raises
    ------
    SystemExit
        With code 1 when the body fails: a `UserError` or `Stopped` leaves its line in the log and on stderr;
        anything else leaves its traceback in the log and one line on stderr that points there.
    """
    log = Path(snakemake.log[0])
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(snakemake.threads)
    prepare_process()
    failure = None
    with _redirected(log):
        try:
            yield
        except (UserError, Stopped) as error:
            failure = f"{snakemake.rule}: {error}"
            print(failure, file=sys.stderr)
        except Exception as error:
            traceback.print_exc()
            summary = traceback.format_exception_only(error)[-1].splitlines()[0]
            failure = f"{snakemake.rule}: {summary} (traceback in {log})"
    if failure is not None:
        print(failure, file=sys.stderr)
        raise SystemExit(1)


@contextmanager
def _redirected(log: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2, ``logging`` and ``warnings`` to ``log``; undo it after."""
    log.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    level = root.level
    # Line buffering: a log must be readable while the job runs, and whole if it is killed.
    with open(log, "a", buffering=1) as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        streams = sys.stdout, sys.stderr
        _flush(*streams)
        saved = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)
            sys.stdout, sys.stderr = streams
            for descriptor, original in enumerate(saved, start=1):
                os.dup2(original, descriptor)
                os.close(original)


def _flush(*streams: TextIO) -> None:
    for stream in streams:
        stream.flush()
