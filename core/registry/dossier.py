"""The evidence for a decision: gates, champion against challenger, hashes, lineage; as values that JSON can hold."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from core import clock
from core.errors import GreenroomError
from core.redaction import redact
from core.registry.facts import Readers, run_of
from core.registry.gates.types import GateReport
from core.registry.requests import fingerprint
from core.registry.seen import Seen
from core.registry.types import Model, Version
from core.runs.reproducibility import check_hashes, commit_of
from core.runs.types import Run

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Dossier:
    """The evidence about one version on its way to a stage.

    Attributes
    ----------
    content : mapping
        Values that JSON can hold; see the functions of this module.
    hash : str or None
        SHA-256 of its text, once it is frozen.
    """

    content: Mapping[str, Any]
    hash: str | None = None

    @property
    def text(self) -> str:
        """The dossier as it is hashed and kept."""
        return json.dumps(self.content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @property
    def verdict_key(self) -> str:
        """What a decision hangs on: the version, the champion, and which gates passed."""
        gates = [[gate["name"], gate["passed"]] for gate in self.content["gates"]["gates"]]
        champion = self.content["champion"]
        parts = [self.content["fingerprint"], champion and champion["version"], gates]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def passed(self) -> bool:
        """Whether all gates passed."""
        return bool(self.content["gates"]["passed"])

    @property
    def failed(self) -> tuple[str, ...]:
        """A sentence for each gate that did not."""
        return tuple(
            f"{one['name']}: {one['reason']}" for one in self.content["gates"]["gates"] if not one["passed"]
        )

    @property
    def failed_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one["name"] for one in self.content["gates"]["gates"] if not one["passed"])


def build(
    model: Model, version: Version, since: Seen | None, report: GateReport, readers: Readers, at: datetime
) -> Dossier:
    """Gather the evidence; what cannot be had is named under ``missing``."""
    missing: list[str] = []
    champion = next(
        (one for one in (model.champion,) if one is not None and one.version != version.version), None
    )
    own, other = _run(version, readers, missing), _run(champion, readers, missing) if champion else None
    content = {
        "format": FORMAT,
        "made_at": clock.text(at),
        "model": model.name,
        "version": version.version,
        "to_stage": report.to_stage,
        "stage": str(version.stage),
        "stage_since": clock.text(since.since) if since is not None else None,
        "stage_known_by": str(since.how) if since is not None else None,
        "fingerprint": fingerprint(version),
        "source": redact(version.source),
        "created": clock.text(version.created),
        "registered_by": version.user,
        "description": version.description,
        "lineage": _lineage(own) if own is not None else None,
        "hashes": []
        if own is None
        else [{**asdict(one), "verdict": str(one.verdict)} for one in check_hashes(own)],
        "champion": None
        if champion is None
        else {
            "version": champion.version,
            "run_id": champion.run_id,
            "lineage": _lineage(other) if other else None,
        },
        "metrics": _metrics(_whole(own, readers, missing), _whole(other, readers, missing)),
        "backtest": _backtest(own, other, readers, missing),
        "gates": gates_to_json(report),
        "missing": missing,
    }
    return Dossier(plain(content))


def gates_to_json(report: GateReport) -> dict[str, Any]:
    """Return gates as the JSON contract has them."""
    return {
        "passed": report.passed,
        "judged_at": clock.text(report.at),
        "gates": [
            {
                "name": gate.name,
                "passed": gate.passed,
                "reason": gate.reason,
                "evidence": plain(gate.evidence),
                "eligible_at": clock.text(gate.eligible_at) if gate.eligible_at is not None else None,
            }
            for gate in report.gates
        ],
    }


def plain(value: Any) -> Any:
    """Return a value with everything in it that JSON cannot hold turned into text, NaN and infinity into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, datetime):
        return clock.text(value)
    return str(value)


def _run(version: Version, readers: Readers, missing: list[str]) -> Run | None:
    try:
        return run_of(version, readers)
    except GreenroomError as error:
        missing.append(str(error))
        return None


def _whole(run: Run | None, readers: Readers, missing: list[str]) -> Run | None:
    if run is None:
        return None
    try:
        return readers.whole(run)
    except GreenroomError as error:
        missing.append(str(error))
        return run


def _lineage(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user": run.user,
        "status": run.status,
        "start_time": clock.text(run.start_time) if run.start_time else None,
        "parent_run_id": run.parent_run_id,
        "git_commit": commit_of(run),
        "source_name": run.tags.get("mlflow.source.name"),
        "datasets": [
            {"name": one.name, "digest": one.digest, "context": one.context} for one in run.datasets
        ],
        "params": dict(sorted(run.params.items())),
    }


def _metrics(own: Run | None, other: Run | None) -> list[dict[str, Any]]:
    mine = own.metrics if own is not None else {}
    theirs = other.metrics if other is not None else {}
    return [
        {"name": name, "challenger": mine.get(name), "champion": theirs.get(name)}
        for name in sorted(mine.keys() | theirs.keys())
    ]


def _backtest(
    own: Run | None, other: Run | None, readers: Readers, missing: list[str]
) -> dict[str, Any] | None:
    """Return the measures of both backtests, each over its own time; None where the version has no backtest."""
    found: dict[str, Any] = {}
    for name, run in (("challenger", own), ("champion", other)):
        if run is None:
            found[name] = None
            continue
        try:
            found[name] = readers.measures(run)
        except GreenroomError as error:
            missing.append(str(error))
            found[name] = None
    return found if found["challenger"] else None
