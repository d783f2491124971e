"""What is measured, section by section: each puts its lines into the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import (
    backtesting,
    browsing,
    forecasting,
    histories,
    jobs,
    mlflow_side,
    promoting,
    rerunning,
    searching,
    store_training,
    syncing,
    trading,
    training_page,
)
from benchmarks.lines import Line, Report, shown
from benchmarks.measuring import Times, in_child
from benchmarks.subjects import Subject

_PAGES, _RERUNS = 60, 25
_MLFLOW_PAGES, _MLFLOW_FRAMES, _MLFLOW_PIPELINES = 5, 2, 3
_COMPARISONS = 15
_TRAININGS = 3
_LOOKS, _PROMOTIONS, _EVENTS = 20, 20, 10_000
_LAUNCHES, _QUEUED = 20, 1_000
_LAUNCHES_BY_CLICK, _LINES = 8, 20


@dataclass
class Bench:
    """The tracking stores, the report, and figures by tracking store for the growth.

    `bars` is a file of five-minute bars, or None for a random walk; `stores_data` a file of the sales of stores, or
    None for generated ones; `work` a folder for what is made.
    """

    small: Subject
    large: Subject
    wide: Subject
    pipelines: Subject
    registry: Subject
    report: Report
    work: Path
    bars: Path | None = None
    stores_data: Path | None = None
    by_store: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(
        self,
        subject: Subject | str,
        what: str,
        times: Times,
        *,
        p95: bool = False,
        limit: float | None = None,
        other: float | None = None,
        least_ratio: float | None = None,
        instead: str = "MLflow",
    ) -> None:
        """Put the median of some times into the report, or what 95 of 100 stay below."""
        name = subject if isinstance(subject, str) else subject.name
        count = len(times.seconds)
        figure = times.p95 if p95 else times.median
        taken = f"median of {count}, worst {shown(times.worst, 's')}"
        if p95:
            taken = f"95 % of {count}, median {shown(times.median, 's')}"
        if count == 1:
            taken = "once"
        line = Line(name, what, figure, "s", taken, limit, other, least_ratio, instead)
        self.by_store.setdefault(what, {})[name] = figure
        self.report.add(line)


def sync(bench: Bench) -> None:
    """First sync, one new run, nothing new."""
    for subject, limits in ((bench.small, (None,) * 4), (bench.large, (15.0, 1.5e9, 0.5, 0.1))):
        with subject.copy() as copy:
            found = syncing.measure(subject.store, copy, subject.empty_home)
        bench.add(subject, "first sync", found.first, limit=limits[0])
        what = "memory of the first sync"
        bench.report.add(Line(subject.name, what, found.peak, "bytes", "peak", limits[1]))
        bench.by_store.setdefault(what, {})[subject.name] = found.peak
        bench.add(subject, "sync with one new run", found.one_run, limit=limits[2])
        bench.add(subject, "sync with nothing new", found.nothing, limit=limits[3])
        bench.add(subject, "look for edits of old runs after a change", found.afterwards)


def pages(bench: Bench) -> None:
    """Find pages of runs, and rerun the Runs page."""
    for subject, (find, rerun) in ((bench.small, (None, None)), (bench.large, (0.08, 0.25))):
        found, _ = in_child(searching.pages, subject.store, subject.home, _PAGES)
        bench.add(subject, "filter, order, page of 100, all columns", found.times, p95=True, limit=find)
        bench.add(subject, "first filter of a process (loads MLflow's parser)", Times((found.first,)))
        reran, _ = in_child(rerunning.pages, subject.store, subject.home, _RERUNS)
        bench.add(subject, "rerun of the Runs page", reran.plain, p95=True, limit=rerun)
        bench.add(subject, "rerun with all columns", reran.all_columns, p95=True, limit=rerun)
        bench.add(subject, "first run of the Runs page in a process", Times((reran.first,)))


def against_mlflow(bench: Bench) -> None:
    """A page, all runs in a frame, and histories: each side on the same 10,000 runs."""
    with bench.small.copy() as copy:
        _same_page(bench, copy)
        _same_frame(bench, copy)
        _same_histories(bench, copy)


def _same_page(bench: Bench, copy: Path) -> None:
    small = bench.small
    asked = searching.queries(_MLFLOW_PAGES)
    ours, _ = in_child(searching.pages, small.store, small.home, _PAGES)
    theirs, _ = in_child(mlflow_side.pages, copy, asked)
    same = sum(one == other for one, other in zip(ours.pages, theirs.pages, strict=False))
    what = f"the same page, {same} of {len(asked)} with the same runs in the same order"
    alike = Times(ours.times.seconds[: len(asked)])
    bench.add(small, what, alike, other=theirs.times.median, least_ratio=50)


def _same_frame(bench: Bench, copy: Path) -> None:
    small = bench.small
    what = "all runs in one pandas frame, with the first sync"
    ours = _frames(small)
    theirs, _ = in_child(mlflow_side.everything, copy, small.shape.runs, _MLFLOW_FRAMES)
    bench.add(small, what, ours, other=theirs.median, least_ratio=15)
    bench.add(bench.large, what, _frames(bench.large))


def _same_histories(bench: Bench, copy: Path) -> None:
    small = bench.small
    run_ids, _ = in_child(histories.traced_runs, small.store, small.home, 20)
    (read, points), _ = in_child(histories.measure, small.store, small.home, run_ids, 7)
    (theirs, their_points), _ = in_child(mlflow_side.histories, copy, run_ids, histories.METRIC, 3)
    what = f"20 histories, {points:,} points (MLflow {their_points:,})"
    bench.add(small, what, read, other=theirs.median, least_ratio=8)


def _frames(subject: Subject) -> Times:
    homes = [subject.empty_home(f"frame {number}") for number in range(3)]
    expected = subject.shape.runs
    return Times(tuple(in_child(searching.everything, subject.store, home, expected)[0] for home in homes))


def wide(bench: Bench) -> None:
    """Few runs with very many metrics."""
    subject = bench.wide
    firsts = [in_child(syncing.first, subject.store, subject.empty_home(f"sync {n}"))[0] for n in range(2)]
    bench.add(subject, "first sync", Times(tuple(firsts)), limit=15)
    found, _ = in_child(searching.pages, subject.store, subject.home, _PAGES, searching.DEFAULT_COLUMNS)
    with subject.copy() as copy:
        theirs, _ = in_child(mlflow_side.pages, copy, searching.queries(3))
    what = "filter, order, page of 100, default columns"
    bench.add(subject, what, found.times, p95=True, limit=0.15, other=theirs.times.median)
    found, _ = in_child(searching.pages, subject.store, subject.home, _PAGES)
    bench.add(subject, "filter, order, page of 100, all columns", found.times, p95=True)
    reran, _ = in_child(rerunning.pages, subject.store, subject.home, _RERUNS)
    bench.add(subject, "rerun of the Runs page", reran.plain, p95=True)
    bench.add(subject, f"rerun with {rerunning.MOST_COLUMNS} metrics", reran.all_columns, p95=True)


def browser(bench: Bench) -> None:
    """First rows and a new order, as a person sees them."""
    if not browsing.available():
        print("There is no Chromium: what a person sees in a browser is left out.")
        return
    small = bench.small
    seen, _ = in_child(browsing.greenroom, small.store, small.home, 5)
    names, _ = in_child(browsing.first_names, small.store, small.home)
    with small.copy() as copy:
        (coldest, first, ordered), _ = in_child(browsing.mlflow, copy, small.work, names)
    what = "first rows in a new browser"
    bench.add(small, what, seen.opened, limit=2.5, other=first)
    bench.add(
        small, "first rows, first visit after the server's start", Times((seen.coldest,)), other=coldest
    )
    bench.add(small, "sorted by a metric, as seen", seen.sorted, limit=1, other=ordered)
    seen_wide, _ = in_child(browsing.greenroom, bench.wide.store, bench.wide.home, 3)
    bench.add(bench.wide, what, seen_wide.opened)
    bench.add(bench.wide, "sorted by a metric, as seen", seen_wide.sorted)
    for subject, one in ((small, seen), (bench.wide, seen_wide)):
        for name, size in (("opening the page", one.opened_bytes), ("sorting it", one.sorted_bytes)):
            bench.report.add(Line(subject.name, f"bytes sent for {name}", size, "bytes"))


def backtests(bench: Bench) -> None:
    """Read and measure a long backtest, overlay twenty, log a large one."""
    work = bench.work
    found, _ = in_child(backtesting.long_one, work / "bars", bench.bars, 9)
    subject = f"{backtesting.BARS:,} five-minute bars"
    bench.add(
        subject, f"read the logged table, {found.measures} measures", found.read_and_measured, limit=0.5
    )
    what = f"measures alone (quantstats: {found.rival_measures})"
    bench.add(
        subject, what, found.measured, other=found.quantstats.median, least_ratio=5, instead="quantstats"
    )
    seen, _ = in_child(backtesting.overlay, work / "overlay", 20)
    subject = "20 runs of 5,000 points"
    bench.add(subject, "rerun of the Backtests page, other measures", seen.reruns, p95=True, limit=0.6)
    bench.add(subject, "first run of the page, with all tables read", Times((seen.first,)))
    bench.report.add(Line(subject, "charts sent", seen.payload, "bytes", "once", 2e6))
    (ours, theirs), _ = in_child(backtesting.logging_one, work / "logging", 5)
    bench.add(
        "100,000 points",
        "log_backtest_results, until stored",
        ours,
        other=theirs.median,
        least_ratio=0.5,
        instead="pandas",
    )


def stores(bench: Bench) -> None:
    """The page Stores, a pipeline's table of stores, and training a pipeline."""
    subject = bench.pipelines
    seen, _ = in_child(forecasting.pages, subject.store, subject.home, _RERUNS, _COMPARISONS)
    what = "rerun of the Stores page, other search, filter and order"
    bench.add(subject, what, seen.filtered, p95=True, limit=0.3)
    bench.add(subject, "rerun with another pipeline", seen.pipelines, p95=True)
    what = "rerun with another store, its forecast in"
    bench.add(subject, f"{what} a table of its own", seen.own_table, p95=True, limit=0.3)
    bench.add(subject, f"{what} its pipeline's table", seen.whole_table, p95=True, limit=0.3)
    bench.add(subject, "two pipelines compared, every store tested", seen.compared, p95=True, limit=0.5)
    bench.add(subject, "first run of the Stores page in a process", Times((seen.first,)))
    _same_table_of_stores(bench)
    _trained(bench)


def _same_table_of_stores(bench: Bench) -> None:
    subject = bench.pipelines
    ours, _ = in_child(forecasting.tables, subject.store, subject.home, _MLFLOW_PIPELINES)
    with subject.copy() as copy:
        (theirs, smape), _ = in_child(mlflow_side.children, copy, ours.parents)
    same = sum(one == other for one, other in zip(ours.smape, smape, strict=True))
    what = f"a pipeline's table of stores, {same} of {len(smape)} with the same runs and test_smape"
    bench.add(subject, what, ours.times, other=theirs.median, least_ratio=50)
    bench.add(subject, "first table of a process, with the list of pipelines", Times((ours.first,)))


def _trained(bench: Bench) -> None:
    found, _ = in_child(store_training.measure, bench.work / "training", bench.stores_data)
    subject = f"{found.stores:,} stores, {found.rows:,} rows"
    what = "gradient boosting for each store, all logged on SQLite"
    bench.add(subject, what, Times((found.seconds,)), limit=240)
    if found.peak is not None:
        taken = f"most of {found.looks} looks, PSS"
        what = "memory of the trainer and its workers"
        bench.report.add(Line(subject, what, found.peak, "bytes", taken, 3e9))
    what = "processor time of fitting and logging"
    bench.add(subject, what, Times((found.work,)))
    what = "logging, of this processor time"
    bench.report.add(Line(subject, what, found.logging_share, "share", "once", 0.25))
    what = "elapsed time in which stores were logged, others fitted"
    bench.add(subject, what, Times((found.logging_seconds,)))


def registry(bench: Bench) -> None:
    """Look at a large registry, act on it, rerun its page, check a long audit trail."""
    subject = bench.registry
    shape, home = subject.shape, subject.empty_home("registry")
    with subject.copy() as copy:
        looked, _ = in_child(promoting.look, copy, home, shape, _LOOKS)
        bench.add(subject, "first look: every version is recorded as seen", Times((looked.first,)))
        bench.add(subject, "look when nothing has changed", looked.nothing, p95=True)
        what = "look after one version was moved by plain MLflow"
        bench.add(subject, what, looked.outside, p95=True)
        theirs, _ = in_child(promoting.search, copy, shape, 5)
        _acted(bench, copy, home)
        _registry_pages(bench, copy, home, theirs)
    chain, _ = in_child(promoting.verify, subject.empty_home("audit"), _EVENTS, 5)
    bench.add(f"{_EVENTS:,} audit events", "chain checked from end to end", chain)


def _acted(bench: Bench, copy: Path, home: Path) -> None:
    subject = bench.registry
    done, _ = in_child(promoting.promote, copy, home, subject.shape, _PROMOTIONS)
    transition = done.transitions.median
    for what, times, limit in (
        ("Staging → Production without gates, recorded", done.promotions, 1.0),
        ("rollback, recorded", done.rollbacks, 2.0),
    ):
        for p95 in (False, True):
            bench.add(subject, what, times, p95=p95, limit=limit, other=transition)


def _registry_pages(bench: Bench, copy: Path, home: Path, theirs: Times) -> None:
    subject = bench.registry
    ours, _ = in_child(promoting.read, copy, home, subject.shape, 5)
    what = "all versions read anew (MLflow: search_model_versions)"
    bench.add(subject, what, ours, other=theirs.median)
    seen, _ = in_child(promoting.pages, copy, home, subject.shape, _RERUNS)
    for what, times in (
        ("rerun of the Registry page, all models", seen.models),
        ("rerun with another model of 25 versions", seen.chosen),
    ):
        bench.add(subject, what, times, limit=0.3, other=theirs.median)
        bench.add(subject, what, times, p95=True, limit=0.3, other=theirs.median)
    bench.add(subject, "rerun with another version of one model", seen.version, p95=True)
    bench.add(subject, "rerun with its history on another day", seen.history, p95=True)
    bench.add(subject, "first run of the Registry page in a process", Times((seen.first,)))


def agents(bench: Bench) -> None:
    """PPO on the trading environment against PPO on CartPole, and the vectorised environment alone."""
    found, _ = in_child(trading.measure, bench.work / "trading", _TRAININGS)
    subject = "5,000 daily bars"
    rival = found.cart_pole.median
    bench.add(
        subject,
        f"{trading.STEPS:,} steps of PPO, {trading.ENVIRONMENTS} environments",
        found.trading,
        other=rival,
        least_ratio=0.85,
        instead="CartPole",
    )
    for count, alone in found.alone.items():
        bench.add(
            subject,
            f"{trading.STEPS:,} steps of {count:,} environments alone ({trading.STEPS / alone.median:,.0f} a second)",
            alone,
            other=rival,
            least_ratio=100,
            instead="PPO on CartPole",
        )


def training(bench: Bench) -> None:
    """Launch, stop and read jobs; the page Training with a long queue."""
    done, _ = in_child(jobs.handle, bench.work / "jobs", _LAUNCHES)
    theirs, _ = in_child(jobs.by_mlflow, bench.work / "jobs of mlflow", 5)
    subject, instead = "a job at a time, worker idle", "mlflow run"
    what = "launch to process running"
    bench.add(subject, what, done.launched, limit=2, other=theirs.median, instead=instead)
    bench.add(subject, what, done.launched, p95=True, limit=2, other=theirs.p95, instead=instead)
    bench.add(subject, "stop to last process gone", done.stopped, limit=5)
    what = "longest stop to last process gone"
    for name, times in (("", done.stopped), (", of jobs that ignore SIGTERM", done.killed)):
        taken = f"longest of {len(times.seconds)}"
        bench.report.add(Line(subject, what + name, times.worst, "s", taken, 5))
    bench.add("a log of 1 GB", "line written to line read", done.line, p95=True, limit=2)
    seen, _ = in_child(jobs.pages, bench.work / "queue", _QUEUED, _RERUNS)
    subject = f"{_QUEUED:,} queued jobs"
    bench.add(subject, "rerun of the Training page, other state and page", seen.reruns, p95=True, limit=0.3)
    bench.add(subject, "first run of the Training page in a process", Times((seen.first,)))
    if not browsing.available():
        print("There is no Chromium: what a person sees of a job in a browser is left out.")
        return
    watched, _ = in_child(training_page.watch, bench.work / "watched", _LAUNCHES_BY_CLICK, _LINES)
    subject = "in Chromium"
    bench.add(subject, "click to process running", watched.clicked, p95=True, limit=2)
    bench.add(subject, "line of a log of 1 GB to the page", watched.lines, p95=True, limit=2)


def growth(bench: Bench) -> None:
    """How much more ten times the runs take."""
    subject = f"{bench.small.name} → {bench.large.name}"
    for what, by_store in bench.by_store.items():
        if {bench.small.name, bench.large.name} <= by_store.keys():
            factor = by_store[bench.large.name] / by_store[bench.small.name]
            bench.report.add(Line(subject, what, factor, "times"))


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "sync": sync,
    "pages": pages,
    "mlflow": against_mlflow,
    "wide": wide,
    "browser": browser,
    "backtests": backtests,
    "stores": stores,
    "registry": registry,
    "jobs": training,
    "trading": agents,
}
