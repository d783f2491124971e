"""What `greenroom backtest` prints: a tear sheet as a table for people, as JSON for programs."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np

from core import cli_output as output
from core.backtests.catalogue import CATALOGUE, MeasureDefinition
from core.backtests.logged.reading import BacktestReading
from core.backtests.tear_sheet import TearSheet
from core.backtests.types import Drawdown
from core.runs.types import Run


def backtest_value(run: Run, reading: BacktestReading, sheet: TearSheet) -> dict[str, Any]:
    """Return a backtest as the JSON contract has it."""
    return {
        "run_id": run.run_id,
        "table": reading.table,
        "start": _moment(sheet.curve.times[0]),
        "end": _moment(sheet.curve.times[-1]),
        "periods": len(sheet.curve) - 1,
        "periods_per_year": sheet.annualisation.periods_per_year,
        "annualisation": sheet.annualisation.convention,
        "measures": {
            field.name: _plain(getattr(sheet.measures, field.name)) for field in fields(sheet.measures)
        },
        "drawdowns": [_drawdown(one) for one in sheet.drawdowns],
        "notes": [*reading.notes, *sheet.notes, *reading.problems],
    }


def show(run: Run, reading: BacktestReading, sheet: TearSheet, as_json: bool) -> None:
    """Print a tear sheet."""
    if as_json:
        output.print_json(backtest_value(run, reading, sheet))
        return
    year = sheet.annualisation
    click.echo(f"{run.name or '–'} ({run.run_id[:8]})  {reading.table}")
    click.echo(
        f"{_day(sheet.curve.times[0])} to {_day(sheet.curve.times[-1])}, {len(sheet.curve) - 1:,} periods, "
        f"{year.periods_per_year:,.6g} a year ({year.convention})"
    )
    known = [one for one in CATALOGUE if getattr(sheet.measures, one.key) is not None]
    rows = [(one.group, one.title, _written(one, getattr(sheet.measures, one.key))) for one in known]
    output.print_rows(("", "measure", "value"), rows, numbers=("value",))
    for note in (*reading.notes, *sheet.notes):
        click.echo(f"· {note}")
    for problem in reading.problems:
        click.echo(f"! {problem}")


def _written(definition: MeasureDefinition, value: Any) -> str:
    if definition.unit == "date":
        return _day(value)
    if definition.unit == "percent":
        return f"{value:.2%}"
    return f"{value:,.0f}" if definition.unit == "count" else f"{value:,.4g}"


def _drawdown(one: Drawdown) -> dict[str, Any]:
    return {
        "depth": one.depth,
        "peak": _moment(one.peak),
        "trough": _moment(one.trough),
        "recovery": None if one.recovery is None else _moment(one.recovery),
    }


def _plain(value: Any) -> Any:
    return _moment(value) if isinstance(value, np.datetime64) else value


def _moment(time: np.datetime64) -> datetime:
    moment: datetime = time.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _day(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))
