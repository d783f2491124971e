"""Train a forecast for every store as a person would, in a process of its own, and watch what memory that takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import use_store
from benchmarks.stores import uri

# About as many rows a store as Rossmann's, once Sundays and holidays are taken away.
_STORES, _DAYS = 1_115, 855
_LOOK_SECONDS = 1.0
_PARTNER = "StoreType"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a pipeline took.

    Attributes
    ----------
    stores, rows : int
        Stores with a model, and rows of the file.
    seconds : float
        From the start of the process to its end.
    logging_seconds : float
        Elapsed time in which stores were logged, while others were fitted.
    work : float
        Processor time of fitting and logging, in seconds: a busy machine changes it little.
    logging_share : float
        The part of it that is logging.
    peak : int or None
        Largest sum of memory of the process and its workers, in bytes, each page that processes share counted
        once (PSS); None where there is no /proc.
    looks : int
        How many times memory was looked at.
    """

    stores: int
    rows: int
    seconds: float
    logging_seconds: float
    work: float
    logging_share: float
    peak: int | None
    looks: int


def measure(folder: Path, given: Path | None, most: int = 0) -> Trained:
    """Train gradient boosting on a file of sales, by default generated ones; only on the first `most` stores."""
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    data = given or _generated(folder, most)
    columns = pl.read_parquet_schema(data)
    command = [
        *(sys.executable, "-m", "core.training.stores", "--json", "--data", str(data)),
        *(("--n", str(most)) if most else ()),
        *(("--partner-column", _PARTNER) if _PARTNER in columns else ()),
    ]
    use_store(uri(folder / "mlflow.db"), folder / "home")
    began = time.perf_counter()
    with (folder / "said.json").open("wb") as said, (folder / "told.log").open("wb") as told:
        # MLflow puts the artifacts of a SQLite store into the folder that it runs in.
        process = subprocess.Popen(command, stdout=said, stderr=told, cwd=folder)
        peaks = list(_watched(process))
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"The trainer failed:\n{(folder / 'told.log').read_text()[-2000:]}")
    report = json.loads((folder / "said.json").read_text())
    work = report["logging_work"] + report["fitting_work"]
    return Trained(
        report["stores"] - report["failed"],
        pl.scan_parquet(data).select(pl.len()).collect().item(),
        seconds,
        report["logging_seconds"],
        work,
        report["logging_work"] / work,
        max(peaks, default=0) or None,
        len(peaks),
    )


def _generated(folder: Path, most: int) -> Path:
    from core.demo.generated_sales import generate_sales

    path = folder / "sales.parquet"
    generate_sales(most or _STORES, _DAYS).write_parquet(path)
    return path


def _watched(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Yield the memory of a process and its descendants about once a second, until it ends."""
    while process.poll() is None:
        yield sum(map(_memory, _family(process.pid)))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name before the last bracket can hold anything; then come the state and the parent.
            after = (folder / "stat").read_text().rpartition(")")[2]
            parents[int(folder.name)] = int(after.split()[1])
    family = [pid]
    for one in family:
        family.extend(child for child, parent in parents.items() if parent == one)
    return family


def _memory(pid: int) -> int:
    """Return the memory of a process, its part of shared pages only, in bytes; 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
