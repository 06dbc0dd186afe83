"""The settings that the models of a matrix were trained with, as their runs recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pandas as pd

from seq2exp.config import WindowConfig
from seq2exp.matrix import Matrix
from seq2exp.model_config import ModelConfig
from seq2exp.paper.results import RunResult
from seq2exp.training_config import TrainingConfig

COLUMNS = ["section", "setting", "value", "default", "models"]
REPEATED = ("model.window_length", "model.source")
"""Said elsewhere: as the window's length, and as the settings of the model in ``mask_from``."""


def settings_table(runs: Sequence[RunResult], matrix: Matrix) -> pd.DataFrame:
    """One row a setting and value of the models that are no variants.

    Returns
    -------
    DataFrame
        ``section`` (window, model or training), ``setting``, dotted where nested, ``value``,
        the config's ``default`` for models of that kind (the paper's value, where the paper has
        the setting), and ``models`` with this value, after commas. A setting has several rows
        where its values differ, also between runs of one model.
    """
    users: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for run in runs:
        if run.cell.model in matrix.main_models:
            for key, value, default in _settings(run.metrics.get("settings", {})):
                section, _, setting = key.partition(".")
                row = (section, setting, value, default)
                users.setdefault(row, {})[run.cell.model] = None
    rows = [(*row, ", ".join(models)) for row, models in users.items()]
    sections = ["window", "model", "training"]
    settings = list(dict.fromkeys(row[:2] for row in rows))
    rows.sort(key=lambda row: (sections.index(row[0]), settings.index(row[:2])))
    return pd.DataFrame(rows, columns=COLUMNS)


def _settings(recorded: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Key, value and default of each setting of one run."""
    if not recorded:
        return []
    values = _flat(recorded)
    kind = recorded["model"]["kind"]
    defaults = _defaults(kind)
    if kind == "signal_linear":  # least squares: there are no steps
        values = {key: value for key, value in values.items() if not key.startswith("training.")}
    return [(key, value, defaults.get(key, "")) for key, value in values.items()]


def _defaults(kind: str) -> dict[str, str]:
    classes = get_args(get_args(ModelConfig)[0])
    known = {found.model_fields["kind"].default: found for found in classes}
    if kind not in known:
        return {}
    window = WindowConfig()
    model = known[kind].model_construct()  # some settings have no default
    length = getattr(model, "window_length", None) or window.length
    return _flat(
        {
            "window": {"window_length": length, "promoter_length": window.promoter_length},
            "model": model.model_dump(mode="json"),
            "training": TrainingConfig().model_dump(mode="json"),
        }
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys to values in words, without what is left out."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if key in REPEATED:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{key}.")
        elif value is not None:
            flat[key] = _word(value)
    return flat


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_word, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
