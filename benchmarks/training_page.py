"""Launch a job in Chromium, and watch lines of a log of 1 GB come to the page Training."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import jobs, servers
from benchmarks.browsing import new_browser, new_page
from benchmarks.measuring import Times
from core.training.jobs.place import job_place
from core.training.types import JobState

_LINES_EVERY = 1.7
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Watched:
    """Seconds that a person waits.

    Attributes
    ----------
    clicked : Times
        From the click on Launch to the first act of the process.
    lines : Times
        From a line written to a log of 1 GB until it stands on the page.
    """

    clicked: Times
    lines: Times


def watch(folder: Path, launches: int, lines: int) -> Watched:
    """Launch jobs by clicks, and watch the log of the last one."""
    workspace = jobs.prepared(folder)
    desk, key, home = workspace.training, workspace.address.key, workspace.settings.home.resolve()
    clicked: list[float] = []
    with servers.greenroom(folder / "mlflow.db", folder / "home") as address, new_browser() as browser:
        jobs.until(lambda: desk.worker().alive)
        time.sleep(3.0)  # until its threads are idle
        page = new_page(browser, [])
        for _ in range(launches):
            page.goto(f"{address}/training?tab=Launch&project=bench&entry=wait")
            button = page.get_by_role("button", name=re.compile("Launch wait"))
            button.wait_for()
            page.wait_for_timeout(1500)
            began = time.time()
            button.click()
            page.get_by_text("is launched").first.wait_for()
            job = desk.jobs(limit=1)[0]
            jobs.until(lambda number=job.id: desk.log(number).text.endswith("\n"))  # type: ignore[misc]
            clicked.append(float(desk.log(job.id).text) - began)
            for other in desk.jobs(states=(JobState.RUNNING,))[1:]:
                desk.stop(other.id, workspace.actor())
        log = job_place(home, key, job.id).log
        page.goto(f"{address}/training?job={job.id}")
        page.get_by_text("Log", exact=True).first.wait_for()
        seen = _lines(page, log, lines)
        desk.stop(job.id, workspace.actor())
        jobs.until(lambda: desk.job(job.id).state.is_over)
    workspace.close()
    return Watched(Times(tuple(clicked)), seen)


def _lines(page: Any, log: Path, count: int) -> Times:
    os.truncate(log, jobs.LONG_LOG)
    found = []
    with log.open("ab", buffering=0) as file:
        file.write(b"\n" + b"epoch 1: loss 0.25\n" * 100_000)
        page.wait_for_timeout(3000)
        for number in range(count):
            line = f"line {number} of the bench"
            began = time.perf_counter()
            file.write(f"{line}\n".encode())
            while not page.evaluate("line => document.body.innerText.includes(line)", line):
                if time.perf_counter() - began > jobs.PATIENCE:
                    raise RuntimeError(f"{line} does not come to the page.")
                time.sleep(_LOOK_SECONDS)
            found.append(time.perf_counter() - began)
            # Not in step with the page's own second.
            time.sleep(_LINES_EVERY)
    return Times(tuple(found))
