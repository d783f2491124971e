"""`MLflowLogger`: a tracker with figures, dictionaries, backtests and the best run of an experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from core.errors import BadInputError, SourceError
from core.tracking import values
from core.tracking.messages import tell
from core.tracking.run import write_text
from core.tracking.tracker import MLflowTracker, _import_mlflow

_TABLES = ("trades", "portfolio_values")


class MLflowLogger(MLflowTracker):
    """Logs trading models and backtests; see `MLflowTracker`, whose methods it has too.

    Parameters
    ----------
    experiment_name : str
        Created if it does not exist.
    tracking_uri : str, optional
        MLFLOW_TRACKING_URI wins over it.

    Examples
    --------
    >>> logger = MLflowLogger("trading_experiment")
    >>> run = logger.start_run("training_001")
    >>> logger.log_metrics({"loss": 0.5, "accuracy": 0.95}, step=1)
    >>> logger.end_run()
    """

    def __init__(self, experiment_name: str, tracking_uri: str | None = None) -> None:
        super().__init__(tracking_uri, experiment_name)

    def log_figure(self, figure: Any, artifact_path: str) -> None:
        """Log a figure of matplotlib, or of plotly (to ``.html``, or an image if kaleido is installed)."""
        place = values.artifact_path(artifact_path)
        draw: Any
        if hasattr(figure, "savefig"):
            draw = figure.savefig
        elif hasattr(figure, "write_html"):
            draw = figure.write_html if place.endswith((".html", ".htm")) else figure.write_image
        else:
            raise BadInputError(
                f"log_figure takes a figure of matplotlib or plotly, not {type(figure).__name__}."
            )

        def write(folder: Path) -> None:
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            draw(str(target))

        self._current().log_files(write)

    def log_dict(self, dictionary: Any, artifact_path: str) -> None:
        """Log a dictionary as JSON, or as YAML if the path ends so; NaN becomes null, times ISO 8601."""
        from core.tracking.tables import dump

        place = values.artifact_path(artifact_path)
        content = dump(dictionary, indent=True)
        if place.endswith((".yaml", ".yml")):
            import json

            import yaml

            text = yaml.safe_dump(json.loads(content), sort_keys=False, allow_unicode=True)
            content = text.encode()
        self._current().log_files(lambda folder: write_text(folder, place, content))

    def log_backtest_results(self, results: Mapping[str, Any], artifact_path: str = "backtest") -> None:
        """Log a backtest: its tables, all of it as JSON, and its metrics as metrics of the run.

        Writes ``<artifact_path>/trades.json`` and ``portfolio_values.json``, which `mlflow.load_table` reads, and
        ``results.json``. A second call with the same path replaces them.

        Parameters
        ----------
        results : mapping
            ``trades`` and ``portfolio_values`` are tables: lists of dicts, dicts of columns, DataFrames, or a Series
            over time. Numbers in ``metrics`` become metrics. Everything else goes into ``results.json``.
        artifact_path : str
            Folder among the run's artifacts.

        Raises
        ------
        BadInputError
            If a table is no table.
        """
        from core.tracking.tables import dump, table

        place = values.artifact_path(artifact_path, "artifact folder")
        found = {key: table(key, results[key]) for key in _TABLES if results.get(key) is not None}
        full = {key: found[key].records() if key in found else value for key, value in results.items()}
        contents = {f"{place}/{key}.json": one.split() for key, one in found.items()}
        contents[f"{place}/results.json"] = dump(full)

        def write(folder: Path) -> None:
            for path, content in contents.items():
                write_text(folder, path, content)

        run = self._current()
        metrics = _metrics(results.get("metrics"))
        if metrics:
            run.log_metrics(metrics)
        run.log_files(write)
        if found:
            run.log_tables([f"{place}/{key}.json" for key in found])

    def get_best_run(self, metric_name: str, mode: str = "max") -> dict[str, Any] | None:
        """Find the run of the experiment with the best last value of a metric.

        Sends first what has been logged. Runs without the metric, or with NaN, never win.

        Parameters
        ----------
        metric_name : str
        mode : {"max", "min"}

        Returns
        -------
        dict or None
            ``run_id``, ``metrics`` and ``params``; None if no run has the metric.

        Raises
        ------
        BadInputError
            For another mode, or a name that no metric can have.
        SourceError
            If the server cannot be reached.
        """
        from core.tracking.reach import probe, reason
        from core.tracking.sender import new_client

        if mode not in ("max", "min"):
            raise BadInputError(f"The mode must be 'max' or 'min', not {mode!r}.")
        name = values.check_key("metric", metric_name)
        _import_mlflow(self._destination.remote)
        from mlflow.exceptions import MlflowException

        self.flush()
        why = probe(self._destination.uri, 5) if self._destination.remote else None
        if why is not None:
            raise SourceError(
                f"The tracking server {self.tracking_uri} cannot be asked for the best run: {why}."
            )
        try:
            client = new_client(self._destination)
            experiment = client.get_experiment_by_name(self.experiment_name)
            if experiment is None:
                return None
            order = [f"metrics.`{name}` {'DESC' if mode == 'max' else 'ASC'}"]
            found = client.search_runs([experiment.experiment_id], order_by=order, max_results=1)
        except MlflowException as error:
            raise SourceError(f"{self.tracking_uri} did not name the best run: {reason(error)}") from error
        # MLflow puts runs without the metric, or with NaN, last: if the first is one of them, all are.
        if not found or math.isnan(found[0].data.metrics.get(name, math.nan)):
            return None
        best = found[0]
        return {
            "run_id": best.info.run_id,
            "metrics": dict(best.data.metrics),
            "params": dict(best.data.params),
        }


def _metrics(found: Any) -> dict[str, float]:
    """Return those metrics of a backtest that MLflow can hold; the others stay in results.json."""
    metrics: dict[str, float] = {}
    left: list[str] = []
    for key, value in found.items() if isinstance(found, Mapping) else ():
        if isinstance(value, bool) or not (isinstance(value, Real) or hasattr(value, "item")):
            continue
        try:
            metrics[values.check_key("metric", key)] = values.number_of(str(key), value)
        except BadInputError:
            left.append(str(key))
    if left:
        tell(f"Only in results.json, since MLflow takes no metric of that name or kind: {', '.join(left)}.")
    return metrics
