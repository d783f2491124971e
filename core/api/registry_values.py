"""Models, versions, gates and promotions as values that JSON can hold: those that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.audit import AuditEvent
from core.cli_promotion_output import request_value
from core.cli_registry_output import version_value
from core.redaction import redact
from core.registry.board import ModelCard, VersionCard
from core.registry.dossier import gates_to_json
from core.registry.gates.types import GateReport
from core.registry.history import reigns
from core.registry.promotion import Outcome
from core.registry.rules import conflict_sentence
from core.registry.seen import SeenVersions
from core.registry.types import Model, Stage


def model_value(model: Model, seen: SeenVersions, requests: int) -> dict[str, Any]:
    """Return a model with its champion, as `greenroom models` has it.

    Parameters
    ----------
    requests : int
        How many requests about it are open.
    """
    champion = model.champion
    known = seen.get(champion.version) if champion is not None else None
    return {
        "name": model.name,
        "version": champion.version if champion else None,
        "stage": str(champion.stage) if champion else None,
        "aliases": list(champion.aliases) if champion else [],
        "run_id": champion.run_id if champion else None,
        "created": champion.created if champion else None,
        "stage_since": known.since if known is not None and known.stage is Stage.PRODUCTION else None,
        "versions": len(model.versions),
        "in_staging": [one.version for one in model.in_stage(Stage.STAGING)],
        "requests": requests,
        "conflict": conflict_sentence(model) if len(model.in_stage(Stage.PRODUCTION)) > 1 else None,
    }


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


def outcome_value(done: Outcome) -> dict[str, Any]:
    """Return what became of a promotion or a rollback, as `greenroom promote` has it."""
    plan = done.order.plan
    return {
        "model": plan.model,
        "version": plan.version,
        "from": str(plan.from_stage),
        "to": str(plan.to_stage),
        "archived": list(plan.archives),
        "fate": str(done.fate),
        "sentence": done.sentence,
        "event": done.event.seq if done.event is not None else None,
        "evidence_hash": done.order.evidence_hash,
        "aliases": list(done.notes),
    }
