"""Models, versions, gates and promotions as values that JSON can hold: those that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.audit import AuditEvent
from core.cli_promotion_output import request_value
from core.cli_registry_output import model_value, version_value
from core.redaction import redact
from core.registry.board import ModelCard, VersionCard
from core.registry.dossier import gates_to_json
from core.registry.gates.types import GateReport
from core.registry.history import reigns
from core.registry.seen import SeenVersions


def card_value(card: ModelCard, seen: SeenVersions) -> dict[str, Any]:
    """Return a model with everything that is recorded of it, its versions and history aside."""
    target = card.target
    return {
        **model_value(card.model, seen, len(card.requests)),
        "description": card.model.description,
        "tags": dict(card.model.tags),
        "all_aliases": dict(card.model.aliases),
        "rollback": None if target is None else {"version": target.version, "why": target.why},
        "drift": list(card.drift),
        "open_requests": [request_value(one) for one in card.requests],
    }


def versions_value(cards: Sequence[VersionCard]) -> list[dict[str, Any]]:
    """Return versions, as `greenroom versions` has them; passwords in addresses are hidden."""
    values = (version_value(one) for one in cards)
    return [{**one, "source": redact(one["source"])} for one in values]


def gates_value(report: GateReport) -> dict[str, Any]:
    """Return what the gates say, as `greenroom gates` has it."""
    about = {"model": report.model, "version": report.version, "to_stage": report.to_stage}
    return {**about, **gates_to_json(report)}


def history_value(model: str, events: Sequence[AuditEvent]) -> dict[str, Any]:
    """Return what happened to a model, oldest first, as `greenroom history` has it."""
    reigned = [asdict(one) for one in reigns(events)]
    return {"model": model, "events": [one.to_json() for one in events], "reigns": reigned}
