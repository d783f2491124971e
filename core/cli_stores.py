"""What `greenroom stores` prints: a pipeline store by store, and what changes against another one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import polars as pl

from core import cli_output as output
from core.forecasts.bands import Band
from core.forecasts.desk import Pipeline, PipelineChanges
from core.runs.types import Run

_SHOWN: Final = 40


def pipelines(runs: Iterable[Run], as_json: bool) -> None:
    """Print the pipelines of a tracking store: first those with a run a store, then those with a table of them."""
    rows: list[dict[str, Any]] = [
        {
            "run_id": run.run_id,
            "name": run.name,
            "status": run.status,
            "start_time": run.start_time,
            "model": run.params.get("model"),
            "stores": run.metrics.get("total_stores_attempted"),
            "wape": run.metrics.get("test_wape"),
            "smape": run.metrics.get("avg_smape"),
        }
        for run in runs
    ]
    if as_json:
        output.print_json(rows)
        return
    if not rows:
        click.echo(
            "There is no pipeline yet. Train one with: python -m core.training.stores --data sales.csv"
        )
        return
    output.print_rows(
        ("run", "name", "status", "model", "stores", "WAPE %", "sMAPE %"),
        [
            (
                row["run_id"][:8],
                row["name"],
                row["status"],
                row["model"],
                _number(row["stores"], 0),
                _number(row["wape"]),
                _number(row["smape"]),
            )
            for row in rows
        ],
        numbers=("stores", "WAPE %", "sMAPE %"),
    )


def export(pipeline: Pipeline, path: Path) -> None:
    """Write the stores of a pipeline to CSV."""
    output.write_file(pipeline.stores, path, "write_csv", "stores")


def show(pipeline: Pipeline, changes: PipelineChanges | None, as_json: bool) -> None:
    """Print a pipeline."""
    if as_json:
        output.print_json(pipeline_value(pipeline, changes))
        return
    run, head = pipeline.run, pipeline.headline
    click.echo(f"{run.name or '–'} ({run.run_id[:8]})  {head.successful:,} of {head.attempted:,} stores")
    figures = (
        ("WAPE", head.wape, " %"),
        ("weighted sMAPE", head.weighted_smape, " %"),
        ("median sMAPE", head.median_smape, " %"),
        ("mean R2", head.mean_r2, ""),
        ("RMSE", head.rmse, ""),
        ("bias", head.bias, " %"),
    )
    click.echo(
        "  ".join(f"{name} {_number(value)}{unit}" for name, value, unit in figures if value is not None)
    )
    click.echo("  ".join(f"{band} {head.bands[band]:,}" for band in Band if head.bands[band]))
    if changes is not None:
        _show_changes(changes)
    else:
        _show_stores(pipeline.stores)
    for note in (*pipeline.notes, *(changes.notes if changes is not None else ())):
        click.echo(f"· {note}")
    for problem in pipeline.problems:
        click.echo(f"! {problem}")


def _show_stores(stores: pl.DataFrame) -> None:
    worst = stores.sort("smape", descending=True, nulls_last=False)
    rows = [
        (
            row["store"],
            row["partner"],
            row["failure"] or row["quality"],
            *(_number(row[name]) for name in ("r2", "smape", "wape", "rmse")),
            _number(row["volume"], 0),
        )
        for row in worst.head(_SHOWN).iter_rows(named=True)
    ]
    columns = ("store", "partner", "quality", "R2", "sMAPE %", "WAPE %", "RMSE", "volume")
    output.print_rows(columns, rows, numbers=columns[3:])
    if stores.height > _SHOWN:
        click.echo(f"The {_SHOWN} worst of {stores.height:,} stores; --csv FILE or --json gives all.")


def _show_changes(found: PipelineChanges) -> None:
    one = found.summary
    click.echo(
        f"Against {found.old.name or '–'} ({found.old.run_id[:8]}): {one.improved:,} better, {one.worse:,} worse, "
        f"{one.same:,} the same, {one.lost:,} lost, {one.gained:,} new"
    )
    if one.share_regressed is not None:
        by_volume = one.volume_share_regressed
        weighed = "" if by_volume is None else f", {by_volume:.1%} of sales"
        click.echo(f"Regressed: {one.share_regressed:.1%} of stores{weighed}")
    if one.significantly_worse is not None:
        click.echo(
            f"Beyond chance (Diebold-Mariano, 5 % after Benjamini-Hochberg): {one.significantly_worse:,} worse, "
            f"{one.significantly_better:,} better"
        )
    rows = [
        (
            row["store"],
            row["partner"],
            str(row["verdict"]),
            _number(row["old"]),
            _number(row["new"]),
            _number(row["change"]),
            _number(row["p_adjusted"]),
        )
        for row in found.changes.head(_SHOWN).iter_rows(named=True)
    ]
    columns = ("store", "partner", "verdict", "old", "new", "change", "p adjusted")
    output.print_rows(columns, rows, numbers=columns[3:])


def pipeline_value(pipeline: Pipeline, changes: PipelineChanges | None) -> dict[str, Any]:
    """Return a pipeline as the JSON contract has it; smape, wape and bias in percent."""
    run, head = pipeline.run, pipeline.headline
    found: dict[str, Any] = {
        "pipeline": {
            "run_id": run.run_id,
            "name": run.name,
            "status": run.status,
            "start_time": run.start_time,
            "model": run.params.get("model"),
            "stores_attempted": head.attempted,
            "stores_successful": head.successful,
            "success_rate": head.success_rate,
            **{
                name: getattr(head, name)
                for name in (
                    "wape",
                    "bias",
                    "weighted_smape",
                    "median_smape",
                    "mean_r2",
                    "rmse",
                    "mae",
                    "volume",
                )
            },
            "bands": {str(band): number for band, number in head.bands.items()},
            "notes": [*pipeline.notes, *pipeline.problems],
        },
        "stores": pipeline.stores.to_dicts(),
        "changes": [],
    }
    if changes is not None:
        found["against"] = {
            "run_id": changes.old.run_id,
            "name": changes.old.name,
            **asdict(changes.summary),
            "notes": list(changes.notes),
        }
        found["changes"] = [
            {key: str(value) if key == "verdict" else value for key, value in row.items()}
            for row in changes.changes.to_dicts()
        ]
    return found


def _number(value: Any, digits: int | None = None) -> str | None:
    if value is None:
        return None
    return f"{value:,.0f}" if digits == 0 else f"{value:,.4g}"
