"""The command line, ``seq2exp``: what is useful outside the workflow."""

from __future__ import annotations

import argparse
import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import yaml

from seq2exp import __version__
from seq2exp.errors import UserError

ERROR = "error: "


def main(argv: list[str] | None = None) -> None:
    """Run one command; a `UserError` ends as one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="seq2exp", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check-config", help="check a config file and the files it names")
    check.add_argument("config", type=Path, help="YAML; - reads standard input")
    check.add_argument("--origin", help="name of the config in messages")
    check.set_defaults(run=check_config)
    fetch = commands.add_parser("download", help="fetch the files of a config, or list them")
    fetch.add_argument("config", type=Path, help="YAML; - reads standard input")
    fetch.add_argument("--list", action="store_true", help="only list them: nothing is fetched")
    fetch.add_argument("--jobs", type=int, default=4, metavar="N", help="files at once (4)")
    fetch.set_defaults(run=download)
    show = commands.add_parser("summary", help="print the table of a finished run")
    show.add_argument("summary", type=Path, help="summary.json of the results folder")
    show.set_defaults(run=summary)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        sys.exit(f"{ERROR}{error}")


def check_config(arguments: argparse.Namespace) -> None:
    """Check a config the way the workflow does before its first job."""
    from seq2exp.config import parse_config
    from seq2exp.downloads.all_files import require_files
    from seq2exp.preflight import preflight

    origin = arguments.origin or str(arguments.config)
    config = parse_config(read_yaml(arguments.config), origin)
    preflight(config, origin)
    require_files(config, origin)
    runs = (config.cell_lines, config.assays, config.models, config.folds.run, config.seeds)
    print(f"{origin}: good; {math.prod(map(len, runs))} runs, results in {config.results}/")


def download(arguments: argparse.Namespace) -> None:
    """Fetch, or list, what the workflow would fetch: the same files in the same place."""
    from seq2exp.config import parse_config
    from seq2exp.downloads.all_files import download_sources
    from seq2exp.downloads.listing import list_sources, print_list

    config = parse_config(read_yaml(arguments.config), str(arguments.config))
    if arguments.list:
        print_list(list_sources(config))
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    download_sources(config, jobs=max(1, arguments.jobs))


def check_files(raw: dict, origin: str) -> None:
    """Check a config's files in a process of its own.

    The libraries that open them take memory, and the Hi-C reader a core, for as long as the process
    lives that loaded them; Snakemake's lives until the last job is done.

    Parameters
    ----------
    raw
        The config as loaded.
    origin
        Its name in messages.

    Raises
    ------
    UserError
        What :func:`seq2exp.preflight.preflight` has found.
    """
    command = [sys.executable, "-m", "seq2exp.cli", "check-config", "-", "--origin", origin]
    given = json.dumps(raw, default=str)
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    found = done.stderr.strip()
    if done.returncode and found.startswith(ERROR):
        raise UserError(found.removeprefix(ERROR))
    if done.returncode:
        raise RuntimeError(found)


def summary(arguments: argparse.Namespace) -> None:
    """Print the summary table of a finished run."""
    from seq2exp.summary import print_summary

    print_summary(arguments.summary)


def read_yaml(path: Path) -> dict:
    """Read a YAML mapping.

    Raises
    ------
    UserError
        No such file, not YAML, or not a mapping at its top.
    """
    try:
        raw = yaml.safe_load(sys.stdin if path == Path("-") else path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); correct the path") from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path}: not valid YAML: {problem}; correct it") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds no settings; start from config.yaml")
    return raw


if __name__ == "__main__":
    main()
