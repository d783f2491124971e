"""The command line of the store trainer: what `mlflow run` and people call."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from core.errors import BadInputError, GreenroomError
from core.training import progress
from core.training.stores.columns import GivenColumns
from core.training.stores.engines import Engine
from core.training.stores.models import ModelKind

_SHOWN = ("test_wape", "avg_smape", "avg_r2", "test_rmse", "success_rate")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--data", required=True, help="CSV, Parquet or JSON: a row a store and day or week.")
@click.option(
    "--n", default=0, show_default=True, type=click.IntRange(0), help="Only the first N stores; 0 for all."
)
@click.option(
    "--horizon",
    default=0,
    type=click.IntRange(0),
    help="Periods to forecast.  [default: 42 days or 13 weeks]",
)
@click.option(
    "--model",
    type=click.Choice([one.value for one in ModelKind]),
    default=ModelKind.GRADIENT_BOOSTING.value,
    show_default=True,
)
@click.option("--store-column", default="", metavar="NAME", help="Recognised if not given, as the next four.")
@click.option("--date-column", default="", metavar="NAME")
@click.option("--sales-column", default="", metavar="NAME")
@click.option("--partner-column", default="", metavar="NAME", help="Whom a store belongs to.")
@click.option("--open-column", default="", metavar="NAME", help="0 on closed days.")
@click.option(
    "--known",
    default="",
    metavar="NAMES",
    help="Columns known in advance (promotions, holidays, prices), by comma; 'none' for none.",
)
@click.option(
    "--engine", type=click.Choice([one.value for one in Engine]), default="local", show_default=True
)
@click.option(
    "--ray-address", default="", metavar="ADDRESS", help="Of a Ray cluster.  [default: RAY_ADDRESS]"
)
@click.option(
    "--jobs", default=0, type=click.IntRange(0), help="Processes at once.  [default: one a processor]"
)
@click.option(
    "--min-samples", default=30, show_default=True, type=click.IntRange(2), help="Rows a store needs."
)
@click.option(
    "--interval",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0.01, 0.99),
    help="Share that intervals hold.",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--encoding", default="utf-8", show_default=True, help="Of a text file.")
@click.option("--drop-negative", is_flag=True, help="Take negative sales as missing.")
@click.option("--experiment", default="", metavar="NAME", help="[default: store-forecasts]")
@click.option("--run-name", default="", metavar="NAME")
@click.option("--run-id", default="", metavar="RUN", help="Go on with a pipeline that was stopped.")
@click.option(
    "--tracking-uri", default="", metavar="URI", help="Instead of MLFLOW_TRACKING_URI and greenroom.toml."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end.")
def stores(data: str, as_json: bool, tracking_uri: str, **given: Any) -> None:
    """Train a forecast for every store, and log each as a run under one pipeline run.

    \b
    Examples:
      python -m core.training.stores --data sales.csv
      python -m core.training.stores --data sales.parquet --model global_gradient_boosting --partner-column chain
      python -m core.training.stores --data sales.csv --run-id 3f2a91c0...     go on after a kill
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # What MLflow says of every run that ends and every file it fetches: what is printed here is the report.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Threads of LightGBM that wait for each other leave the processor to whoever works.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from core.settings import override, read_settings
    from core.tracking.configuration import destination
    from core.tracking.sender import new_client
    from core.training.stores.pipeline import PipelineOptions, run_pipeline

    settings = override(read_settings(), tracking_uri=tracking_uri or None)
    place = destination(settings)
    known = tuple(one.strip() for one in given["known"].split(",") if one.strip())
    columns = GivenColumns(
        given["store_column"] or None,
        given["date_column"] or None,
        given["sales_column"] or None,
        given["partner_column"] or None,
        given["open_column"] or None,
        None if not known else () if known == ("none",) else known,
    )
    options = PipelineOptions(
        data=Path(data),
        kind=ModelKind(given["model"]),
        columns=columns,
        horizon=given["horizon"] or None,
        most=given["n"] or None,
        min_samples=given["min_samples"],
        interval=given["interval"],
        seed=given["seed"],
        engine=Engine(given["engine"]),
        jobs=given["jobs"] or None,
        ray_address=given["ray_address"] or None,
        encoding=given["encoding"],
        drop_negative=given["drop_negative"],
        run_name=given["run_name"] or None,
        # `mlflow run` has made the run and says which one it is.
        run_id=given["run_id"] or os.environ.get("MLFLOW_RUN_ID") or None,
        thresholds=settings.quality,
        **({"experiment": given["experiment"]} if given["experiment"] else {}),
    )
    location = place.artifact_location(options.experiment)
    _report(run_pipeline(options, new_client(place), location, _Told()), as_json)


class _Told:
    """Says on standard error how far a pipeline is and how long it will take."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = (now, done)
        began, before = self._began
        left = ""
        if before < done < total:
            seconds = (now - began) / (done - before) * (total - done)
            left = f", {int(seconds // 60)} min {int(seconds % 60):02d} s left"
        click.echo(f"{done:,} of {total:,} stores{left} ({what})", err=True)
        progress.report(done, total, f"{done:,} of {total:,} stores ({what})")


def _report(report: Any, as_json: bool) -> None:
    if as_json:
        values = {
            "run_id": report.run_id,
            "experiment_id": report.experiment_id,
            "stores": report.stores,
            "failed": report.failed,
            "resumed": report.resumed,
            "metrics": dict(report.metrics),
            "notes": list(report.notes),
            "seconds": report.seconds,
            "logging_seconds": report.logging_seconds,
            "fitting_work": report.fitting_work,
            "logging_work": report.logging_work,
        }
        click.echo(json.dumps(values, indent=2))
        return
    for note in report.notes:
        click.echo(f"· {note}")
    failed = f", {report.failed:,} failed" if report.failed else ""
    resumed = f", {report.resumed:,} done before" if report.resumed else ""
    click.echo(f"{report.stores:,} stores{failed}{resumed} in {report.seconds:.1f} s")
    click.echo("  ".join(f"{name} {report.metrics[name]:.4g}" for name in _SHOWN if name in report.metrics))
    click.echo(f"Look at it with: greenroom stores {report.run_id[:8]}")


def main() -> None:
    """Run the trainer; exit code 1: refused, 2: bad input."""
    try:
        stores()
    except GreenroomError as error:
        click.echo(f"stores: {error}", err=True)
        sys.exit(2 if isinstance(error, BadInputError) else 1)
