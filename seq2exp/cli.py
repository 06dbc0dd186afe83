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
from seq2exp.model_commands import add_model_commands
from seq2exp.plan.command import add_plan_command
from seq2exp.variants.command import add_score_command

ERROR = "error: "


def main(argv: list[str] | None = None) -> None:
    """Run one command; a `UserError` ends as one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="seq2exp", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    quick = commands.add_parser(
        "check-config",
        help="in a second: would the workflow start? keys, values, and headers of local files",
        description="Check a config the way the workflow does before its first job: keys and values, "
        "and that local files exist, are whole and fit together. Stops at the first problem.",
    )
    quick.add_argument("config", type=Path, help="YAML; - reads standard input")
    quick.add_argument("--origin", help="name of the config in messages")
    quick.set_defaults(run=check_config)
    deep = commands.add_parser(
        "check",
        help="in a minute: are the data good? reads signals, labels and genes of every cell line",
        description="Read the data of a config that are on this disk, fetched ones too, and print "
        "for every cell line what they cover, which values they hold, and whether labels and tracks "
        "belong together, with warnings in plain sentences. The workflow does the same before "
        "training. Exit code 1 with errors, 0 with warnings only.",
    )
    deep.add_argument("config", type=Path, help="YAML")
    deep.add_argument("--table", type=Path, help="also write all figures to this .tsv or .csv")
    deep.add_argument("--page", type=Path, help="also write the tables to this .html")
    deep.set_defaults(run=check)
    fetch = commands.add_parser("download", help="fetch the files of a config, or list them")
    fetch.add_argument("config", type=Path, help="YAML; - reads standard input")
    fetch.add_argument("--list", action="store_true", help="only list them: nothing is fetched")
    fetch.add_argument("--jobs", type=int, default=4, metavar="N", help="files at once (4)")
    fetch.set_defaults(run=download)
    paper = commands.add_parser(
        "paper",
        help="draw the paper's tables and figures from the runs that are there",
        description="What `snakemake paper` makes, from the runs that are there already: what is not "
        "run yet is shown as missing.",
    )
    paper.add_argument("config", type=Path, help="YAML")
    paper.add_argument(
        "--out", type=Path, help="folder [default: paper_so_far in the results folder]"
    )
    paper.set_defaults(run=paper_so_far)
    add_plan_command(commands)
    add_model_commands(commands)
    add_score_command(commands)
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


def check(arguments: argparse.Namespace) -> None:
    """Examine the data of a config that are on this disk."""
    import logging

    from rich.console import Console

    from seq2exp.config import parse_config
    from seq2exp.doctor.checkup import write_checkups
    from seq2exp.doctor.command import check
    from seq2exp.doctor.show import WIDTH, show_checkups, write_page

    config = parse_config(read_yaml(arguments.config), str(arguments.config))
    logging.disable()  # what is counted aloud in a log is a figure here
    try:
        with Console(stderr=True).status("reading genome, genes, tracks and labels ..."):
            checkups = check(config)
    finally:
        logging.disable(logging.NOTSET)
    console = Console()
    console.width = min(max(console.width, 100), WIDTH)
    show_checkups(checkups, console)
    if arguments.table:
        write_checkups(checkups, arguments.table)
    if arguments.page:
        write_page(checkups, arguments.page)
    errors = sum(len(checkup.errors()) for checkup in checkups)
    if errors:
        sys.exit(f"{ERROR}{arguments.config}: {errors} errors, see above; correct them first")


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


def paper_so_far(arguments: argparse.Namespace) -> None:
    """Draw the tables and figures of a config from the runs that are there."""
    from seq2exp.config import parse_config
    from seq2exp.matrix import Matrix
    from seq2exp.paper.build import build_paper
    from seq2exp.paper.results import files_in_results

    config = parse_config(read_yaml(arguments.config), str(arguments.config))
    matrix, results = Matrix.of(config), Path(config.results)
    folder = arguments.out or results / "paper_so_far"
    example = matrix.example()
    drawn = (
        []
        if example is None
        else sorted((results / "figures" / example.folder).glob("locus_*.png"))
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build_paper(matrix, files_in_results(results, matrix), folder, loci=drawn)
    print(folder / "index.html")


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
