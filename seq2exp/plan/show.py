"""The plan as tables, readable without colour."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from seq2exp.plan.estimate import ModelPlan, Plan
from seq2exp.plan.step_times import COUNTED_GPU_STEP


def show_plan(plan: Plan, console: Console) -> None:
    """Print times and memory a model, disk an artefact, and what the figures rest on."""
    total = sum(model.device_hours for model in plan.models)
    runs = sum(model.runs for model in plan.models)
    unit = plan.device.upper()
    console.print(f"Training and prediction on one {unit} a run")
    console.print(_models(plan, unit, total, runs))
    console.print("Disk (without downloads: seq2exp download --list CONFIG)")
    console.print(_disk(plan))
    for line in notes(plan):
        console.print(f"- {line}", soft_wrap=True)


def notes(plan: Plan) -> list[str]:
    """What a reader must know of the figures, a line each."""
    genes = plan.genes
    lines = [
        f"genes: {genes.total:,.0f}, of a fold {genes.train:,.0f} train, {genes.valid:,.0f} valid, "
        f"{genes.test:,.0f} test ({genes.source})",
        "counted: steps, validations, prediction, views; windows, regions and figures take minutes "
        "more a run",
    ]
    bases = {model.basis for model in plan.models}
    if any(basis.startswith("counted") for basis in bases):
        low, high = (1000 * seconds for seconds in COUNTED_GPU_STEP)
        lines.append(
            f"GPU times are COUNTED, NOT MEASURED: {high:.0f} ms a full-size step if nothing overlaps "
            f"({low:.0f} if all does), in proportion to bases, width and layers, as if all were Mamba's; "
            "measure yours with "
            "python -m benchmarks.step_times --device cuda --out FILE, then --measured FILE"
        )
    if any(basis.startswith("as ") for basis in bases):
        lines.append(
            "'as KIND': this kind was not measured; its layers are taken to cost what those of KIND do"
        )
    if plan.machines:
        lines.append(f"step times measured on: {', '.join(plan.machines)}; yours may differ")
    return lines


def _models(plan: Plan, unit: str, total: float, runs: int) -> Table:
    table = _table()
    table.add_column("model", overflow="fold")
    for head in ("runs", "steps", "s/step", "h/run", f"{unit} h", "RAM"):
        table.add_column(head, justify="right", no_wrap=True)
    if plan.device == "gpu":
        table.add_column("GPU mem", justify="right", no_wrap=True)
    table.add_column("step times", overflow="fold")
    for model in plan.models:
        table.add_row(*_cells(plan, model))
    table.add_section()
    blank = [""] * (2 if plan.device == "gpu" else 1)
    table.add_row("all", str(runs), "", "", "", _hours(total), "", *blank)
    return table


def _cells(plan: Plan, model: ModelPlan) -> list[str]:
    cells = [
        model.model,
        str(model.runs),
        f"{model.steps:,}",
        f"{model.step_seconds:.3g}" if model.steps else "-",
        _hours(model.run_hours),
        _hours(model.device_hours),
        _bytes(model.memory_mb * 1e6),
    ]
    if plan.device == "gpu":
        known = model.device_memory_mb
        cells.append("-" if known is None else _bytes(known * 1e6))
    return [*cells, model.basis]


def _disk(plan: Plan) -> Table:
    table = _table()
    table.add_column("artefact")
    table.add_column("number", justify="right")
    table.add_column("size", justify="right")
    for part in plan.disk:
        table.add_row(part.artefact, str(part.number), _bytes(part.bytes))
    table.add_section()
    table.add_row("all", "", _bytes(sum(part.bytes for part in plan.disk)))
    return table


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _hours(number: float) -> str:
    """Two digits, or all before the point."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _bytes(number: float) -> str:
    """Size in the largest unit that leaves a whole number before the point."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
