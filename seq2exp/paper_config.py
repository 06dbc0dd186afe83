"""Ablations: groups of models that differ from one model of the config in a few settings.

Each variant becomes a model of the matrix, ``{model}-{variant}``, before the config is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import Field

from seq2exp.config_types import Name, Strict
from seq2exp.model_config import ModelConfig


class AblationConfig(Strict):
    """A group of variants of one model: a block of the ablation table, and a figure."""

    model: Name
    """Name of the model in ``models`` that the variants change, and are compared with."""
    axis: str | None = None
    """A numeric setting, dotted where it is nested, that tells the variants apart in the figure."""
    variants: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]
    """What each variant sets in place of the model's own settings."""

    def names(self) -> list[str]:
        """Names of the variants as models, in order."""
        return [variant_name(self.model, variant) for variant in self.variants]


def variant_name(model: str, variant: str) -> str:
    """Name of a variant as a model of the matrix."""
    return f"{model}-{variant}"


def with_variants(models: dict[str, Any], ablations: Any) -> dict[str, Any]:
    """Models of the config as written, and those that its ablations add.

    Parameters
    ----------
    models
        Settings of each model, ``kind`` included.
    ablations
        The section as written. What does not have its form is passed over here: the section's own
        check names it.

    Raises
    ------
    ValueError
        A group changes a model that there is not, or two models would have one name.
    """
    expanded = dict(models)
    for key, model, variant, changes in written_variants(ablations):
        group = key.split(".variants.")[0]
        if model not in models:
            known = ", ".join(models)
            raise ValueError(f"{group}.model: {model!r} is no model; choose one of {known}")
        name, settings = variant_name(model, variant), changed_settings(models[model], changes)
        if name in models:
            raise ValueError(f"{key}: models has a {name!r} already; rename one of the two")
        if expanded.setdefault(name, settings) != settings:
            raise ValueError(f"{key}: another group's {name!r} differs; rename one of the two")
    return expanded


def written_variants(ablations: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Key, model, variant and changes of every variant that has their form."""
    for group, body in _items(ablations):
        model = body.get("model") if isinstance(body, dict) else None
        if isinstance(model, str):
            for variant, changes in _items(body.get("variants")):
                if isinstance(changes, dict):
                    yield f"ablations.{group}.variants.{variant}", model, str(variant), changes


def _items(section: Any) -> list[tuple[Any, Any]]:
    return list(section.items()) if isinstance(section, dict) else []


def changed_settings(settings: Any, changes: dict[str, Any]) -> Any:
    """Settings with some replaced, nested ones one by one.

    Of another kind's settings only those stay that the new kind has too.
    """
    if not isinstance(settings, dict):
        return settings
    kind = changes.get("kind", settings.get("kind"))
    if kind != settings.get("kind"):
        fields = _fields_of_kinds().get(str(kind), set())
        settings = {name: value for name, value in settings.items() if name in fields}
    return _merged(settings, changes)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        nested = isinstance(value, dict) and isinstance(old.get(name), dict)
        merged[name] = _merged(old[name], value) if nested else value
    return merged


def _fields_of_kinds() -> dict[str, set[str]]:
    classes = get_args(get_args(ModelConfig)[0])
    return {found.model_fields["kind"].default: set(found.model_fields) for found in classes}


def check_ablations(
    ablations: dict[str, AblationConfig], models: dict[str, ModelConfig], window_length: int
) -> None:
    """Refuse variants that change nothing, and axes along which they have no number.

    Raises
    ------
    ValueError
        Names the key and the remedy.
    """
    for group, ablation in ablations.items():
        base = models[ablation.model]
        for variant, name in zip(ablation.variants, ablation.names(), strict=True):
            if models[name] == base:
                raise ValueError(
                    f"ablations.{group}.variants.{variant} changes nothing of {ablation.model}; "
                    "remove it: the model itself is in the group's table and figure"
                )
        for name in [ablation.model, *ablation.names()] if ablation.axis else []:
            if setting(models[name], ablation.axis or "", window_length) is None:
                raise ValueError(
                    f"ablations.{group}.axis: {ablation.axis!r} is no number of {name}; name a "
                    "numeric setting that the model and all variants have"
                )


def as_written(message: str, ablations: Any) -> str:
    """Name in a message the keys that a user wrote in place of the models made of them."""
    written = {
        f"models.{variant_name(model, variant)}": key
        for key, model, variant, _ in written_variants(ablations)
    }
    if not written:
        return message
    names = "|".join(sorted(map(re.escape, written), key=len, reverse=True))
    return re.sub(rf"(?:{names})(?![\w-])", lambda found: written[found[0]], message)


def setting(model: ModelConfig, key: str, window_length: int) -> float | None:
    """Value of a numeric setting of a model, dotted where it is nested; None where it is none.

    A left-out ``window_length`` is the stored window's.
    """
    value: Any = model
    for part in key.split("."):
        value = getattr(value, part, None)
    if key == "window_length":
        value = value or window_length
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
