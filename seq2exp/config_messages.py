"""What is wrong with a config, in one line: pydantic's errors in a user's words."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import BaseModel, ValidationError

from seq2exp.config_types import Strict


def first_problem(error: ValidationError) -> str:
    """Say the key, the value and the remedy of one problem."""
    problems = error.errors(include_url=False)
    # An unknown key often causes the "missing key" beside it: name the typo first.
    problem = min(problems, key=lambda p: p["type"] != "extra_forbidden")
    key, value = _written_key(problem["loc"]), problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key{_suggestion(problem['loc'][-1])}; correct or remove it"
        case "missing":
            return f"{key}: required key is missing; add it"
        case "string_pattern_mismatch" if problem["loc"][-1] == "[key]":
            return f"{key}: not a usable name ({value!r}); use letters, digits, _ and - only"
        case "union_tag_invalid":
            return f"{key}: unknown model kind {value.get('kind')!r}; known: {_kinds(problem)}"
    message = re.sub(r"^(Value error, |Input )", "", problem["msg"])
    if problem["type"] == "value_error" and not problem["loc"]:
        return message  # checks of several sections name the key themselves
    shown = "" if isinstance(value, dict | list | tuple | BaseModel) else f" {value!r}"
    return f"{key}:{shown} {message}"


def _written_key(location: tuple[int | str, ...]) -> str:
    """The key as the user wrote it: without the tags of unions, of which that of models is third."""
    parts = [str(part) for part in location if not str(part).startswith("[")]
    if parts[:1] == ["models"]:
        del parts[2:3]
    return ".".join(parts) or "(top level)"


def _kinds(problem: Any) -> str:
    return problem["ctx"]["expected_tags"].replace("'", "")


def _suggestion(key: int | str) -> str:
    known = {field for model in _all_models() for field in model.model_fields}
    close = difflib.get_close_matches(str(key), sorted(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _all_models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    queue: list[type[BaseModel]] = [Strict]
    while queue:
        model = queue.pop()
        found.append(model)
        queue.extend(model.__subclasses__())
    return found
