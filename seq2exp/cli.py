"""The command line, ``seq2exp``: what is useful outside the workflow."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import yaml

from seq2exp import __version__
from seq2exp.errors import UserError


def main(argv: list[str] | None = None) -> None:
    """Run one command; a `UserError` ends as one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="seq2exp", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check-config", help="check a config file and the files it names")
    check.add_argument("config", type=Path)
    check.set_defaults(run=check_config)
    show = commands.add_parser("summary", help="print the table of a finished run")
    show.add_argument("summary", type=Path, help="summary.json of the results folder")
    show.set_defaults(run=summary)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


def check_config(arguments: argparse.Namespace) -> None:
    """Check a config the way the workflow does before its first job."""
    from seq2exp.config import parse_config
    from seq2exp.preflight import preflight

    origin = str(arguments.config)
    config = parse_config(read_yaml(arguments.config), origin)
    preflight(config, origin)
    runs = (config.cell_lines, config.assays, config.models, config.folds.run, config.seeds)
    print(f"{arguments.config}: good; {math.prod(map(len, runs))} runs, results in {config.results}/")


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
        raw = yaml.safe_load(path.read_text())
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
