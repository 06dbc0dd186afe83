"""Command line: python -m seq2exp.simulate OUTDIR --seed 1."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from typing import Any

from seq2exp.errors import UserError
from seq2exp.simulate import Settings, simulate


def main(argv: list[str] | None = None) -> None:
    """Parse the arguments, simulate, print the noise ceilings."""
    parser = argparse.ArgumentParser(
        prog="python -m seq2exp.simulate",
        description="Write a small simulated genome with a known truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("outdir", help="folder to write; made whole or not at all")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything that is drawn")
    for key, default in asdict(Settings()).items():
        many = isinstance(default, tuple)
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            type=type(default[0] if many else default),
            nargs="+" if many else None,
            default=default,
            help="setting",
        )
    options = vars(parser.parse_args(argv))
    outdir, seed = options.pop("outdir"), options.pop("seed")
    chosen: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in options.items()
    }
    try:
        ceilings = simulate(outdir, seed, replace(Settings(), **chosen))
    except UserError as error:
        sys.exit(f"error: {error}")
    print(ceilings.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
