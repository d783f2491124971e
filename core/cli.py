"""The command line `greenroom`. Exit code 0: done, 1: refused by a rule, 2: bad input."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from core import cli_output as output
from core import cli_promotion, cli_registry, cli_retention, cli_schedule, cli_tokens, cli_training
from core.cli_parts import Group, json_option, open_fresh, open_store, settings_for, store_option
from core.errors import BadInputError, GreenroomError
from core.runs.types import RunView, SyncProgress

if TYPE_CHECKING:
    from core.settings import Settings

_COLLECTED_AT: Final = gc.get_threshold()


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="greenroom", prog_name="greenroom")
def cli() -> None:
    """Experiment explorer and promotion desk for MLflow.

    \b
    Examples:
      greenroom demo                                    build and open a demo workspace
      greenroom up --tracking-uri sqlite:///mlflow.db   open the dashboard on your store
      greenroom runs -e my-experiment --filter "metrics.rmse < 10" --order-by "metrics.rmse"
    """


@cli.command()
@store_option
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--open/--no-open", "browser", default=False, help="Open the browser.")
@click.option(
    "--worker/--no-worker",
    default=True,
    help="Run jobs and schedules, too; without, start `greenroom worker`.",
)
def up(tracking_uri: str | None, host: str | None, port: int | None, browser: bool, worker: bool) -> None:
    """Serve the dashboard and the API, and run jobs and schedules.

    \b
    Example: greenroom up --tracking-uri http://mlflow.example.org:5000
    """
    from core.workspace import open_workspace

    settings = settings_for(tracking_uri, host=host, port=port)
    # Bad settings are refused here, with an exit code, rather than on the first page.
    open_workspace(settings).close()
    _serve(settings, browser, worker)


def _serve(settings: Settings, browser: bool, worker: bool) -> None:
    from core.serving import serve

    # What lives long collects its garbage as Python does; see `main`.
    gc.set_threshold(*_COLLECTED_AT)
    serve(settings, browser=browser, worker=worker)


@cli.command()
@click.option("--tracking-uri", metavar="URI", help="Open this store instead of training a demo.")
@click.option("--home", type=click.Path(path_type=Path), help="Where to build it.  [default: .greenroom]")
@click.option(
    "--stores",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sales of your own stores (a row a store and day or week) instead of generated ones.",
)
@click.option("--serve/--no-serve", default=True, help="Open the dashboard when it is built.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--open/--no-open", "browser", default=True, help="Open the browser.")
def demo(
    tracking_uri: str | None,
    home: Path | None,
    stores: Path | None,
    serve: bool,
    port: int | None,
    browser: bool,
) -> None:
    """Train a demo workspace for real and open the dashboard on it.

    \b
    Examples:
      greenroom demo
      greenroom demo --no-serve
      greenroom demo --stores sales.csv
      greenroom demo --tracking-uri file:./mlruns      look at your own store instead
    """
    from dataclasses import replace

    from core.workspace import open_workspace

    settings = settings_for(tracking_uri, home=home, port=port)
    if tracking_uri is None:
        # The demo never writes to a team's store: it has one of its own in the home folder.
        settings = replace(settings, tracking_uri=None, backend_uri=None)
        import os

        from core.demo import build_demo
        from core.demo.settings_file import NAME
        from core.settings import CONFIG_VARIABLE

        with output.progress("Training the demo") as report:
            built = build_demo(
                settings.effective_tracking_uri,
                settings.home.resolve() / "artifacts",
                lambda what, done, total: report(SyncProgress(what, done, total)),
                stores,
                settings.home.resolve(),
                settings.database_uri,
            )
        click.echo(output.demo_sentence(built))
        if settings.place == "defaults":
            # Nobody has settings of their own here: pages judge by the gates that the demo was told with.
            os.environ[CONFIG_VARIABLE] = str(settings.home.resolve() / NAME)
    workspace = open_workspace(settings)
    with output.progress("Reading runs") as report:
        done = workspace.runs.sync(on_progress=report)
    workspace.close()
    if done is not None:
        click.echo(output.sync_sentence(done))
    if serve:
        _serve(settings, browser, worker=True)
    else:
        click.echo(f"Open it with: greenroom demo{f' --home {home}' if home else ''}")


@cli.command()
@store_option
@json_option
def doctor(tracking_uri: str | None, as_json: bool) -> None:
    """Say what Greenroom is connected to, whether it works, and how to mend what does not.

    \b
    Example: greenroom doctor --tracking-uri sqlite:///old/mlflow.db
    """
    from core.doctor import Verdict, examine

    workspace = open_store(tracking_uri)
    # What goes wrong here is what the examination then says.
    with contextlib.suppress(GreenroomError):
        workspace.runs.sync()
    checks = examine(workspace)
    output.checks(checks, as_json)
    if any(check.verdict is Verdict.PROBLEM for check in checks):
        sys.exit(1)


@cli.command()
@store_option
@click.option("--full", is_flag=True, help="Read every run again, to find every edit.")
@click.option("--rebuild", is_flag=True, help="Throw the index away and build it anew.")
@json_option
def sync(tracking_uri: str | None, full: bool, rebuild: bool, as_json: bool) -> None:
    """Bring the run index up to date.

    \b
    Example: greenroom sync --full
    """
    workspace = open_store(tracking_uri)
    with output.progress("Reading runs") as report:
        done = workspace.runs.sync(thorough=full, rebuild=rebuild, on_progress=report)
    if done is None:
        raise GreenroomError("Another process is syncing this index. Try again when it is done.")
    output.sync(done, as_json)


@cli.command("sync-offline")
@click.option("--tracking-uri", metavar="URI", help="Store to send to, instead of the one that is set.")
@json_option
def sync_offline(tracking_uri: str | None, as_json: bool) -> None:
    """Send what trainings could not send while their tracking server was away.

    Exit code 0: nothing is left, 1: something is.

    \b
    Examples:
      greenroom sync-offline
      greenroom sync-offline --tracking-uri http://mlflow.example.org:5000 --json
    """
    import os

    from core.tracking import offline

    # MLflow repeats a call for four minutes, in which nothing could be said to who waits here.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with output.progress("Sending") as report:
        done = offline.sync_offline(
            settings_for(tracking_uri), lambda name: report(SyncProgress(name, 0, None))
        )
    output.outboxes(done, as_json)
    if any(one.is_left for one in done):
        sys.exit(1)


@cli.command()
@store_option
@click.option("--all", "everything", is_flag=True, help="Deleted experiments too.")
@json_option
def experiments(tracking_uri: str | None, everything: bool, as_json: bool) -> None:
    """List the experiments.

    \b
    Example: greenroom experiments --json
    """
    workspace = open_fresh(tracking_uri)
    found = workspace.runs.experiments()
    output.experiments([one for one in found if everything or one.lifecycle_stage == "active"], as_json)


@cli.command()
@store_option
@click.option(
    "-e", "--experiment", "names", multiple=True, metavar="NAME", help="Name or id; may be repeated."
)
@click.option("--filter", "filter_string", default="", metavar="FILTER", help="In MLflow's filter syntax.")
@click.option("--order-by", multiple=True, metavar="TERM", help="In MLflow's syntax; may be repeated.")
@click.option(
    "--view", type=click.Choice([one.value for one in RunView]), default="active", show_default=True
)
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="0 for all.")
@click.option("--offset", type=click.IntRange(0), default=0)
@click.option("--columns", metavar="COLS", help="Table columns, such as metrics.rmse,params.lr.")
@click.option(
    "--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write all matches to CSV."
)
@click.option(
    "--parquet", "parquet_path", type=click.Path(dir_okay=False, path_type=Path), help="The same as Parquet."
)
@click.option("--refresh", is_flag=True, help="Read every run again first, to find every edit.")
@json_option
def runs(
    tracking_uri: str | None,
    names: Sequence[str],
    filter_string: str,
    order_by: Sequence[str],
    view: str,
    limit: int,
    offset: int,
    columns: str | None,
    csv_path: Path | None,
    parquet_path: Path | None,
    refresh: bool,
    as_json: bool,
) -> None:
    """Find runs.

    \b
    Examples:
      greenroom runs -e diabetes-regression --order-by "metrics.test_rmse" --limit 10
      greenroom runs --filter "params.model = 'ridge' AND metrics.test_r2 > 0.4" --json
      greenroom runs --filter "attributes.status = 'FAILED'" --csv failed.csv
    """
    from core.runs.explorer import RunsRequest, check_columns

    wanted = tuple(one.strip() for one in columns.split(",") if one.strip()) if columns else None
    check_columns(wanted or ())
    workspace = open_fresh(tracking_uri, refresh)
    request = RunsRequest(tuple(names) or None, filter_string, tuple(order_by), RunView(view))
    matches = workspace.runs.find(request)
    for path, write in ((csv_path, "write_csv"), (parquet_path, "write_parquet")):
        if path is not None:
            _export(workspace.runs.export(matches), path, write)
    if csv_path or parquet_path:
        return
    end = offset + limit if limit else len(matches)
    chosen = matches.snapshot.runs(matches.places[offset:end].tolist())
    output.runs(chosen, len(matches), offset, wanted, as_json)


def _export(frame: Any, path: Path, write: str) -> None:
    output.write_file(frame, path, write, "runs")


@cli.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN RUN...")
@store_option
@click.option("--baseline", metavar="RUN", help="Run that deltas refer to.  [default: the first]")
@click.option("--all", "everything", is_flag=True, help="Also what does not differ.")
@json_option
def compare(
    run_ids: Sequence[str], tracking_uri: str | None, baseline: str | None, everything: bool, as_json: bool
) -> None:
    """Lay runs side by side; ids may be shortened.

    \b
    Example: greenroom compare 3f2a91c0 77b01d2e --baseline 3f2a91c0
    """
    workspace = open_fresh(tracking_uri)
    output.comparison(workspace.runs.compare(run_ids, baseline), everything, as_json)


@cli.command()
@store_option
@click.option("--metric", required=True, help="Name of the metric.")
@click.option("--mode", type=click.Choice(["max", "min"]), help="By default as the metric's name suggests.")
@click.option(
    "-e", "--experiment", "names", multiple=True, metavar="NAME", help="Name or id; may be repeated."
)
@json_option
def best(
    tracking_uri: str | None, metric: str, mode: str | None, names: Sequence[str], as_json: bool
) -> None:
    """Show the run with the best value of a metric.

    \b
    Example: greenroom best --metric test_rmse --experiment diabetes-regression
    """
    workspace = open_fresh(tracking_uri)
    output.best(workspace.runs.best(metric, mode, tuple(names) or None), metric, as_json)


@cli.command()
@click.argument("run_id", metavar="RUN")
@store_option
@click.option("--table", metavar="PATH", help="The table with the curve, where a run has several.")
@click.option("--from", "start", type=click.DateTime(), help="First day that counts.")
@click.option("--to", "end", type=click.DateTime(), help="Last day that counts.")
@click.option(
    "--risk-free", type=float, default=0.0, show_default=True, help="A year, as a fraction: 0.02 is 2 %."
)
@click.option("--periods-per-year", type=float, help="Instead of what the time stamps say.")
@json_option
def backtest(
    run_id: str,
    tracking_uri: str | None,
    table: str | None,
    start: datetime | None,
    end: datetime | None,
    risk_free: float,
    periods_per_year: float | None,
    as_json: bool,
) -> None:
    """Read the backtest of a run: every measure, and the worst drawdowns.

    \b
    Examples:
      greenroom backtest 3f2a91c0
      greenroom backtest 3f2a91c0 --from 2015-01-01 --risk-free 0.02 --json
    """
    import numpy as np

    from core import cli_backtest
    from core.backtests.tear_sheet import TearSheetOptions, tear_sheet

    workspace = open_fresh(tracking_uri)
    run = workspace.runs.run(run_id)
    reading = workspace.backtests.read(run.run_id, table)
    if reading.curve is None:
        raise BadInputError(" ".join(reading.problems))
    # A day given without a time belongs to the period whole.
    first, last = (
        None if one is None else np.datetime64(one, "D" if one.time() == time.min else "us")
        for one in (start, end)
    )
    options = TearSheetOptions(first, last, periods_per_year, risk_free)
    cli_backtest.show(run, reading, tear_sheet(reading.curve, reading.trades, options), as_json)


@cli.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@store_option
@click.option("--against", metavar="RUN", help="An older pipeline to compare with.")
@click.option(
    "--measure",
    type=click.Choice(["wape", "smape", "mae", "rmse", "r2"]),
    default="wape",
    show_default=True,
    help="What stores are compared by.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Relative change that counts as none: 0.05 is 5 %.",
)
@click.option(
    "--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the stores to CSV."
)
@json_option
def stores(
    run_id: str | None,
    tracking_uri: str | None,
    against: str | None,
    measure: str,
    tolerance: float,
    csv_path: Path | None,
    as_json: bool,
) -> None:
    """Show how well every store is forecast, and which stores a pipeline hurts.

    Without RUN, lists the pipelines.

    \b
    Examples:
      greenroom stores
      greenroom stores 3f2a91c0
      greenroom stores 3f2a91c0 --against 77b01d2e --tolerance 0.05 --json
    """
    from core import cli_stores
    from core.forecasts.changes import StoreMeasure

    workspace = open_fresh(tracking_uri)
    desk = workspace.forecasts
    if run_id is None:
        cli_stores.pipelines(workspace.runs.runs(desk.candidates()), as_json)
        return
    pipeline = desk.pipeline(run_id)
    if not pipeline.stores.height:
        raise BadInputError(" ".join(pipeline.problems) or f"The run {run_id} has no stores.")
    if csv_path is not None:
        cli_stores.export(pipeline, csv_path)
        return
    changes = None
    if against is not None:
        old = desk.pipeline(against)
        changes = desk.compare(
            old,
            pipeline,
            StoreMeasure(measure),
            tolerance,
            (desk.all_forecasts(old), desk.all_forecasts(pipeline)),
        )
    cli_stores.show(pipeline, changes, as_json)


for _one in (
    *cli_registry.COMMANDS,
    *cli_promotion.COMMANDS,
    *cli_training.COMMANDS,
    *cli_retention.COMMANDS,
    *cli_schedule.COMMANDS,
    cli_tokens.tokens,
):
    cli.add_command(_one)


def main() -> None:
    """Run the command line."""
    # MLflow is a million objects, and nearly all of them stay. Looking for garbage among them as often as Python
    # does takes a fifth of a rollback, and taking them apart at the end of the process takes a quarter.
    gc.set_threshold(100_000, 50, 50)
    try:
        cli()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
