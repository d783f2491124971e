"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from core.errors import BadInputError
from core.runs.types import Experiment, Run, SyncProgress, SyncReport

_MAX_TABLE_COLUMNS = 6


@contextmanager
def progress(title: str) -> Iterator[Callable[[SyncProgress], None]]:
    """Show progress on standard error while it is a terminal; say nothing otherwise."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda state: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def report(state: SyncProgress) -> None:
            bar.update(task, description=f"{title}: {state.what}", completed=state.done, total=state.total)

        yield report


def pointer(error: Any) -> str:
    """Return the filter with a mark under the place of the mistake."""
    line = re.sub(r"\s", " ", error.text)
    return f"  {line}\n  {' ' * cell_len(line[: error.position])}^"


def print_json(value: Any) -> None:
    """Print strict JSON: missing numbers, NaN and infinity are null, times are ISO 8601 UTC."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def write_file(frame: Any, path: Path, write: str, noun: str) -> None:
    """Write a table with one of its own methods, and say so.

    Raises
    ------
    BadInputError
        If the file cannot be written.
    """
    try:
        getattr(frame, write)(path)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error}.") from error
    click.echo(f"{frame.height:,} {noun} written to {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _print(table: Table) -> None:
    # Rich reads [brackets] in plain strings as markup: names are passed as Text, which it does not.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)


def _table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="right" if column in numbers else "left", overflow="fold")
    return table


def _row(table: Table, *cells: str | None) -> None:
    table.add_row(*(Text(cell if cell is not None else "–") for cell in cells))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str | None]], numbers: Sequence[str]) -> None:
    """Print a table of texts; the columns named in `numbers` are right-aligned."""
    table = _table(*columns, numbers=numbers)
    for row in rows:
        _row(table, *row)
    _print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    if abs(value) >= sys.float_info.max:
        return "∞" if value > 0 else "-∞"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.4g}"


def local_time(value: datetime | None) -> str | None:
    """Return a time as the reader's clock shows it."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M") if value else None


def run_value(run: Run) -> dict[str, Any]:
    """Return a run as the JSON contract has it."""
    return {
        "run_id": run.run_id,
        "experiment_id": run.experiment_id,
        "run_name": run.name,
        "status": run.status,
        "lifecycle_stage": run.lifecycle_stage,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "user": run.user,
        "parent_run_id": run.parent_run_id,
        "params": dict(run.params),
        "metrics": dict(run.metrics),
        "tags": dict(run.tags),
        "datasets": [
            {"name": one.name, "digest": one.digest, "context": one.context} for one in run.datasets
        ],
    }


def experiments(found: Sequence[Experiment], as_json: bool) -> None:
    """Print experiments."""
    if as_json:
        print_json(
            [
                {
                    "experiment_id": one.experiment_id,
                    "name": one.name,
                    "lifecycle_stage": one.lifecycle_stage,
                    "runs": one.runs,
                }
                for one in found
            ]
        )
        return
    table = _table("id", "name", "state", "runs", numbers=("runs",))
    for one in found:
        _row(table, one.experiment_id, one.name, one.lifecycle_stage, f"{one.runs:,}")
    _print(table)


def runs(found: Sequence[Run], total: int, offset: int, columns: Sequence[str] | None, as_json: bool) -> None:
    """Print runs."""
    if as_json:
        print_json({"total": total, "runs": [run_value(run) for run in found]})
        return
    if columns is None:
        names = sorted({key for run in found for key in run.metrics})[:_MAX_TABLE_COLUMNS]
        columns = [f"metrics.{name}" for name in names]
    numeric = [column for column in columns if column.startswith("metrics.")]
    table = _table("run", "name", "status", "started", "user", *columns, numbers=numeric)
    for run in found:
        cells = [_cell(run, column) for column in columns]
        _row(
            table, run.run_id[:8], run.name or None, run.status, local_time(run.start_time), run.user, *cells
        )
    _print(table)
    end = offset + len(found)
    click.echo(f"{offset + 1 if found else 0:,} to {end:,} of {total:,} runs" if total else "No run matches.")


def _cell(run: Run, column: str) -> str | None:
    table, _, key = column.partition(".")
    if table == "metrics":
        return _number(run.metrics[key]) if key in run.metrics else None
    values = {"params": run.params, "tags": run.tags}.get(table, {})
    return values.get(key)


def comparison(found: Any, everything: bool, as_json: bool) -> None:
    """Print a comparison."""
    if as_json:
        print_json(
            {
                "runs": [run_value(run) for run in found.runs],
                "baseline": found.runs[found.baseline].run_id,
                "params": [_value_row(row) for row in found.params],
                "tags": [_value_row(row) for row in found.tags],
                "datasets": [
                    {"name": row.name, "context": row.context, "digests": row.digests, "differs": row.differs}
                    for row in found.datasets
                ],
                "metrics": [
                    {
                        "key": row.key,
                        "values": row.values,
                        "best": [found.runs[at].run_id for at in row.best],
                        "deltas": row.deltas,
                        "relative_deltas": row.relative_deltas,
                        "higher_is_better": row.higher_is_better,
                        "differs": row.differs,
                    }
                    for row in found.metrics
                ],
                "comparability": [
                    {"kind": issue.kind, "severity": issue.severity, "message": issue.message}
                    for issue in found.comparability
                ],
            }
        )
        return
    names = [f"{run.name or '–'} ({run.run_id[:8]})" for run in found.runs]
    table = _table("", *names)
    for title, rows in (("param", found.params), ("tag", found.tags)):
        for row in rows:
            if row.differs or everything:
                _row(table, f"{title} {row.key}", *row.values)
    for row in found.metrics:
        if row.differs or everything:
            cells = [_number(value) + (" ★" if at in row.best else "") for at, value in enumerate(row.values)]
            _row(table, f"metric {row.key}", *cells)
    _print(table)
    for issue in found.comparability:
        click.echo(f"{'!' if issue.severity != 'note' else '·'} {issue.message}")


def _value_row(row: Any) -> dict[str, Any]:
    return {"key": row.key, "values": row.values, "differs": row.differs}


def best(run: Run, metric: str, as_json: bool) -> None:
    """Print the best run."""
    if as_json:
        print_json(run_value(run))
        return
    click.echo(f"{run.name or '–'} ({run.run_id})  {metric} = {_number(run.metrics.get(metric))}")
    table = _table("param", "value")
    for key, value in sorted(run.params.items()):
        _row(table, key, value)
    _print(table)


def sync_sentence(report: SyncReport) -> str:
    """Say what a sync did."""
    done = f"{report.changed:,} runs read anew" if report.changed else "nothing new"
    gone = f", {report.gone:,} gone" if report.gone else ""
    return f"The index holds {report.runs:,} runs; {done}{gone} ({report.seconds:.1f} s)."


def sync(report: SyncReport, as_json: bool) -> None:
    """Print what a sync did."""
    if as_json:
        print_json(
            {
                "generation": report.generation,
                "full": report.full,
                "changed": report.changed,
                "gone": report.gone,
                "runs": report.runs,
                "seconds": round(report.seconds, 3),
                "problems": report.problems,
            }
        )
        return
    click.echo(sync_sentence(report))
    for problem in report.problems:
        click.echo(f"! {problem}")


def outboxes(found: Sequence[Any], as_json: bool) -> None:
    """Print what was sent of trainings that had to wait, and what is left."""
    if as_json:
        print_json(
            [
                {
                    "run_id": one.run_id,
                    "run_name": one.run_name,
                    "experiment": one.experiment,
                    "store": one.store,
                    "state": one.state,
                    "sent": one.sent,
                    "left": one.left,
                    "refused": one.refused,
                    "reason": one.reason,
                    "folder": str(one.folder),
                }
                for one in found
            ]
        )
        return
    from core.tracking.batches import words

    for one in found:
        signs = {"sent": "✓", "running": "·"}
        sent = words(one.sent) or "nothing new"
        run_id = one.run_id[:8] if one.run_id else "no id yet"
        name = f"{one.run_name or '–'} ({run_id}) in {one.experiment or '–'}"
        click.echo(f"{signs.get(one.state, '!')} {name}: {one.state}; sent {sent}")
        if one.left:
            click.echo(f"    left: {words(one.left)}")
        for reason in (*((one.reason,) if one.reason else ()), *(f"refused: {why}" for why in one.refused)):
            click.echo(f"    {reason}")
        if one.is_left:
            click.echo(f"    kept in {one.folder}")
    if not found:
        click.echo("Nothing is waiting to be sent.")


def checks(found: Sequence[Any], as_json: bool) -> None:
    """Print an examination."""
    if as_json:
        print_json(
            [
                {"name": one.name, "verdict": one.verdict, "finding": one.finding, "advice": one.advice}
                for one in found
            ]
        )
        return
    signs = {"ok": "✓", "note": "·", "problem": "✕"}
    for one in found:
        click.echo(f"{signs[one.verdict]} {one.name}: {one.finding}")
        for line in one.advice.splitlines():
            click.echo(f"    {line}")


def demo_sentence(report: Any) -> str:
    """Say what the demo build did."""
    if report.already_there:
        return "The demo workspace is already there."
    made = []
    if report.runs:
        made.append(f"Trained {report.runs} runs in {len(report.experiments)} experiments")
    if report.versions:
        made.append(f"registered {report.versions} versions of {len(report.models)} models")
    if report.jobs:
        made.append(f"ran {report.jobs} jobs of the training desk")
    text = ", ".join(made) or "Finished what was left"
    return f"{text[0].upper()}{text[1:]} in {report.seconds:.0f} s."
