"""From the journal's lines to MLflow's requests: what goes together, and how much of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from core.tracking.outbox import Operation, Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

# MLflow's limits of a request, the last with room for what is around the values.
_MOST_ITEMS, _MOST_OF_ONE_KIND = 1000, 100
_MOST_BYTES = 600_000

Item = tuple[str, Any]


def gather(outbox: Outbox) -> tuple[list[Item], int]:
    """Collect metrics, params and tags that follow each other, as many as one request may hold."""
    items: list[Item] = []
    counts: Counter[str] = Counter()
    size, last = 0, outbox.state.offset
    for operation, begin, end in outbox.read(last):
        new = list(_items(operation))
        size += (end - begin) + 150 * len(new)
        counts.update(kind for kind, _ in new)
        too_many = len(items) + len(new) > _MOST_ITEMS or size > _MOST_BYTES
        if not new or (items and (too_many or max(counts["param"], counts["tag"]) > _MOST_OF_ONE_KIND)):
            break
        items += new
        last = end
    return items, last


def _items(operation: Operation) -> Iterator[Item]:
    if operation["op"] == "metrics":
        for key, value, step in operation["values"]:
            yield "metric", (key, value, operation["t"], step)
    elif operation["op"] in ("params", "tags"):
        for key, value in operation["values"].items():
            yield operation["op"][:-1], (key, value)


def count(operation: Operation) -> Counter[str]:
    """Count what an operation holds, by kind."""
    found = Counter(f"{kind}s" for kind, _ in _items(operation))
    if not found and operation["op"] != "tables":
        found[{"run": "runs", "model": "models", "end": "ends"}.get(operation["op"], "artifacts")] += 1
    return found


def words(counted: Mapping[str, int]) -> str:
    """Say what `count` has counted."""
    special = {"runs": "its start", "ends": "its end"}
    return ", ".join(
        special.get(kind) or f"{number:,} {kind if number != 1 else kind[:-1]}"
        for kind, number in sorted(counted.items())
    )


def chunks(items: list[Item]) -> Iterator[list[Item]]:
    """Split items so that no request holds more than MLflow takes."""
    chunk: list[Item] = []
    counts: Counter[str] = Counter()
    for item in items:
        if len(chunk) == _MOST_ITEMS or (item[0] != "metric" and counts[item[0]] == _MOST_OF_ONE_KIND):
            yield chunk
            chunk, counts = [], Counter()
        chunk.append(item)
        counts[item[0]] += 1
    if chunk:
        yield chunk


def entities(items: list[Item]) -> tuple[list[Metric], list[Param], list[RunTag]]:
    """Return items as `MlflowClient.log_batch` takes them."""
    from mlflow.entities import Metric, Param, RunTag

    # Of two values of a tag the later one counts, and a request may name a key only once.
    tags = {value[0]: value[1] for kind, value in items if kind == "tag"}
    params = dict.fromkeys(value for kind, value in items if kind == "param")
    return (
        [Metric(*value) for kind, value in items if kind == "metric"],
        [Param(*value) for value in params],
        [RunTag(key, value) for key, value in tags.items()],
    )


def declare_tables(client: MlflowClient, run_id: str, paths: list[str]) -> None:
    """Name tables in the tag by which `mlflow.load_table` finds them, as `mlflow.log_table` does."""
    from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

    declared = json.loads(client.get_run(run_id).data.tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
    new = [one for one in ({"path": path, "type": "table"} for path in paths) if one not in declared]
    if new:
        client.set_tag(run_id, MLFLOW_LOGGED_ARTIFACTS, json.dumps(declared + new))
