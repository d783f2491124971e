"""Writes the demo's sales and hands its pipelines to the script that trains them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.demo.generated_sales import GENERATED_NOTE, generate_sales
from core.demo.record import KEPT, RUN_TAG
from core.demo.script import run_script
from core.demo.store_plans import StoreExperiment

SALES_FILE = "generated-sales.parquet"


def record_stores(
    tracking_uri: str, experiment: StoreExperiment, folder: Path, on_run: Callable[[str], None]
) -> None:
    """Train the pipelines of an experiment whose name MLflow knows already.

    Parameters
    ----------
    folder : Path
        Where generated sales are written, for whoever wants to train on them again.

    Raises
    ------
    SourceError
        If the process fails, with the last thing it said.
    """
    data, generated = experiment.data, {}
    if data is None:
        data = folder / SALES_FILE
        generate_sales(experiment.stores).write_parquet(data)
        generated = {"generated_data": GENERATED_NOTE}
    entries = [
        {
            "name": plan.name,
            "kind": str(plan.kind),
            "tags": {
                RUN_TAG: KEPT,
                "mlflow.user": experiment.people[at % len(experiment.people)],
                "mlflow.source.name": "greenroom demo",
                "team": experiment.team,
            },
            "run_tags": {"mlflow.note.content": plan.note, **generated},
        }
        for at, plan in enumerate(experiment.entries)
    ]
    plans = {
        "experiment": experiment.name,
        "data": str(data.resolve()),
        "stores": experiment.stores,
        "entries": entries,
    }
    run_script("core.demo.log_stores", plans, tracking_uri, "store pipelines", on_run)
