"""Command line of the benchmarks: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import pipelines, registries, sections, stores
from benchmarks.lines import Report
from benchmarks.subjects import Subject

_PREAMBLE = """\
Each measurement runs in a process of its own. MLflow is measured on 10,000 runs, on the wide store and
on three pipelines only: on 100,000 runs in SQLite its queries are too slow to wait for. No limit is a test: a
busy machine misses some."""


def main() -> None:
    """Measure, print, save."""
    given = _arguments()
    began = time.monotonic()
    # MLflow reads these when it is imported, in the processes that are started below.
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    machine = _machine()
    print(_PREAMBLE)
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    report = Report()
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="work-")))
        bench = sections.Bench(
            Subject("10,000 runs", stores.SMALL, given.store_10k, folder, work),
            Subject("100,000 runs", stores.LARGE, given.store_100k, folder, work),
            Subject("1,500 runs of 1,500 metrics", stores.WIDE, given.store_wide, folder, work),
            Subject("50 pipelines of 1,115 stores", pipelines.USUAL, None, folder, work, pipelines.make),
            Subject("200 models, 5,000 versions", registries.USUAL, None, folder, work, registries.make),
            report,
            work,
            given.bars.resolve() if given.bars else None,
            given.stores_data.resolve() if given.stores_data else None,
        )
        for name in given.only or sections.SECTIONS:
            sections.SECTIONS[name](bench)
        sections.growth(bench)
    print()
    report.table()
    minutes = (time.monotonic() - began) / 60
    print(f"Took {minutes:.1f} min; the load of the last quarter of an hour was {os.getloadavg()[2]:.1f}.")
    if given.json:
        report.save(given.json, machine)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Greenroom and MLflow.")
    parser.add_argument(
        "--folder", type=Path, help="where stores are kept between runs (by default they are thrown away)"
    )
    for name, what in (
        ("10k", "10,000 runs"),
        ("100k", "100,000 runs"),
        ("wide", "1,500 runs x 1,500 metrics"),
    ):
        parser.add_argument(
            f"--store-{name}", type=Path, metavar="FILE", help=f"a store of {what}; only read"
        )
    parser.add_argument(
        "--bars", type=Path, metavar="FILE", help="CSV of five-minute bars with the columns time and close"
    )
    parser.add_argument(
        "--stores-data",
        type=Path,
        metavar="FILE",
        help="Parquet of daily sales to train on: Store, Date, Sales",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--only", nargs="+", choices=list(sections.SECTIONS), help="measure these only")
    return parser.parse_args()


def _machine() -> dict[str, object]:
    return {
        "processors": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("mlflow", "streamlit", "polars")},
    }


if __name__ == "__main__":
    main()
