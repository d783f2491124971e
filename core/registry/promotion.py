"""Carry a plan out so that a crash at any moment leaves nothing half-done.

An order is written down before MLflow is asked (the intent), MLflow makes the change in one transaction, aliases and
tags follow, the registry is read back, and one transaction of Greenroom's database records the event and closes the
intent. Whoever comes next after a crash finds the open intent and finishes it if MLflow has made the change, or
closes it if not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core import clock
from core.access import Actor, Role
from core.audit import AuditEvent, AuditTrail, News
from core.database import row_of, transaction
from core.errors import NotFoundError, RefusedError
from core.registry import seen
from core.registry.locks import model_lock
from core.registry.rules import Act, Plan, Standing, stale_sentence, standing
from core.registry.types import PRODUCTION_ALIAS, STAGE_TAG, STAGING_ALIAS, Model, Stage
from core.schema import promotion_requests, registry_intents

ACTIONS: Final = {
    Act.PROMOTE: "promoted",
    Act.ROLL_BACK: "rolled back",
    Act.ARCHIVE: "archived",
    Act.SETTLE: "settled",
}
WAIT_SECONDS: Final = 10.0


class Registry(Protocol):
    """MLflow's registry, read and written.

    Every method raises `SourceError` where it does not answer and `NotFoundError` where there is no such model.
    """

    def model(self, name: str) -> Model:
        """Return a model as MLflow has it right now."""
        ...

    def move(self, model: Model, version: int, stage: Stage, *, archive_others: bool) -> None:
        """Move a version to a stage, in one transaction with the archiving of all others that are in it."""
        ...

    def point(self, model: str, alias: str, version: int | None) -> None:
        """Point an alias at a version, or take it away."""
        ...

    def tag(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """A plan with who wants it carried out and why.

    Attributes
    ----------
    request : int or None
        The promotion request that it fulfils.
    evidence_hash : str or None
        Of the dossier that the decision was made on.
    override : str or None
        Why gates that did not pass were overridden; the mark stays on the event.
    overridden : tuple of str
        Names of these gates.
    """

    plan: Plan
    by: Actor
    reason: str
    request: int | None = None
    evidence_hash: str | None = None
    override: str | None = None
    overridden: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the order as it is written down."""
        return json.dumps(
            {
                "plan": self.plan.to_json(),
                "by": [self.by.name, str(self.by.role)],
                "reason": self.reason,
                "request": self.request,
                "evidence_hash": self.evidence_hash,
                "override": self.override,
                "overridden": list(self.overridden),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Return the order that `to_json` wrote."""
        value = json.loads(text)
        name, role = value["by"]
        return cls(
            Plan.from_json(value["plan"]),
            Actor(name, Role(role)),
            value["reason"],
            value["request"],
            value["evidence_hash"],
            value["override"],
            tuple(value["overridden"]),
        )


class Fate(StrEnum):
    """What became of an order."""

    DONE = "done"
    NOTHING_TO_DO = "nothing to do"
    FINISHED_LATER = "finished after an interruption"
    UNDONE = "given up after an interruption"
    ABANDONED = "abandoned after an interruption"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order, in a sentence, with the event that records it."""

    order: Order
    fate: Fate
    sentence: str
    event: AuditEvent | None = None
    notes: tuple[str, ...] = field(default=())


class Promoter:
    """Carries out orders for one tracking store.

    Parameters
    ----------
    engine : callable
        Opens Greenroom's database.
    registry : callable
        Opens MLflow's registry for writing.
    on_step : callable
        Told the name of each step before it is made; tests let a process die there.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        store_key: str,
        registry: Callable[[], Registry],
        trail: AuditTrail,
        now: clock.Clock = clock.now,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._store_key = store_key
        self._registry = registry
        self._trail = trail
        self._now = now
        self._step = on_step

    def locked(self, model: str, wait_seconds: float = WAIT_SECONDS) -> AbstractContextManager[None]:
        """Hold the lock of a model; every other method needs it.

        Raises
        ------
        RefusedError
            If somebody else holds it for longer than the wait.
        """
        return model_lock(self._engine(), self._store_key, model, wait_seconds)

    def apply(self, order: Order, model: Model) -> Outcome:
        """Carry an order out.

        Parameters
        ----------
        model : Model
            As MLflow has it, read since the lock is held.

        Raises
        ------
        RefusedError
            If the registry is not what the plan expected.
        SourceError, DatabaseError
            If MLflow or Greenroom's database does not answer. What was begun is finished or given up by the next
            call of `recover`.
        """
        plan, registry = order.plan, self._registry()
        stands = standing(plan, model)
        if not plan.moves or stands is Standing.DONE:
            sentence = f"{plan.model} v{plan.version} is in {plan.to_stage} already; nothing was changed."
            return Outcome(order, Fate.NOTHING_TO_DO, sentence)
        if stands is not Standing.AHEAD:
            raise RefusedError(stale_sentence(plan, model))
        self._step("before the intent")
        intent = self._open(order)
        self._step("after the intent")
        self._move(registry, model, plan)
        self._step("after MLflow's transaction")
        return self._finish(registry, intent, order, Fate.DONE)

    def recover(self, model: str) -> Outcome | None:
        """Finish or give up what a crash left of a model; None where it left nothing.

        Raises
        ------
        SourceError, DatabaseError
            If MLflow or Greenroom's database does not answer.
        """
        found = self._open_intent(model)
        if found is None:
            return None
        intent, order = found
        registry = self._registry()
        try:
            current = registry.model(model)
        except NotFoundError:
            return self._close(intent, order, Fate.ABANDONED, f"{model} is gone from the registry")
        stands = standing(order.plan, current)
        if stands is Standing.AHEAD:
            return self._close(intent, order, Fate.UNDONE, "MLflow had not changed anything yet")
        if stands is Standing.STALE:
            return self._close(intent, order, Fate.ABANDONED, stale_sentence(order.plan, current))
        if stands is Standing.PARTLY:
            self._move(registry, current, order.plan)
        return self._finish(registry, intent, order, Fate.FINISHED_LATER)

    def unfinished(self) -> tuple[str, ...]:
        """Return the models with an open intent, whether its process lives or not."""
        query = sa.select(registry_intents.c.model).where(
            row_of(registry_intents, {"store_key": self._store_key, "state": "open"})
        )
        with transaction(self._engine(), "unfinished promotions cannot be looked for") as connection:
            return tuple(connection.execute(query).scalars())

    def _put_in_step(self, model: Model, plan: Plan) -> tuple[str, ...]:
        """Point the aliases at what the stages say and repeat the stages as tags; say which aliases moved.

        Aliases of stages that the plan does not touch are left alone, wherever somebody has pointed them; tags of
        other versions are corrected where they are wrong, not added.
        """
        moved = {move.version: move.to_stage for move in plan.moves}
        touched = {stage for move in plan.moves for stage in (move.from_stage, move.to_stage)}
        registry, changed = self._registry(), []
        for alias, stage in ((PRODUCTION_ALIAS, Stage.PRODUCTION), (STAGING_ALIAS, Stage.STAGING)):
            if stage not in touched:
                continue
            inside = [one.version for one in model.in_stage(stage)]
            was = model.aliases.get(alias)
            just_moved = [version for version, to in moved.items() if to is stage and version in inside]
            kept = was if was in inside else max(inside, default=None)
            wanted = just_moved[0] if just_moved else kept
            if was != wanted:
                registry.point(model.name, alias, wanted)
                changed.append(
                    f"alias {alias}: {f'v{was}' if was else '–'} -> {f'v{wanted}' if wanted else '–'}"
                )
        for one in model.versions:
            said = one.tags.get(STAGE_TAG)
            if said != str(one.stage) and (said is not None or one.version in moved):
                registry.tag(model.name, one.version, {STAGE_TAG: str(one.stage)})
        return tuple(changed)

    def _move(self, registry: Registry, model: Model, plan: Plan) -> None:
        registry.move(model, plan.version, plan.to_stage, archive_others=plan.to_stage is Stage.PRODUCTION)

    def _finish(self, registry: Registry, intent: int, order: Order, fate: Fate) -> Outcome:
        plan = order.plan
        changed = self._put_in_step(registry.model(plan.model), plan)
        self._step("after aliases and tags")
        model = registry.model(plan.model)
        if standing(plan, model) is not Standing.DONE:
            # Somebody changed it between MLflow's transaction and now: their change is not overwritten.
            return self._close(intent, order, Fate.ABANDONED, stale_sentence(plan, model))
        self._step("after reading back")
        now = self._now()
        with transaction(self._engine(), f"what was done to {plan.model} is not recorded yet") as connection:
            event = self._trail.append(connection, order.by, _news(order, fate, changed))
            for move in plan.moves:
                if move.from_stage is not move.to_stage:
                    one = seen.Seen(move.to_stage, now, seen.How.GREENROOM)
                    seen.note(connection, self._store_key, plan.model, move.version, one)
            self._close_rows(connection, intent, order, fulfilled=True)
            self._step("before the record is committed")
        self._step("after the record")
        return Outcome(order, fate, _sentence(order, fate), event, changed)

    def _close(self, intent: int, order: Order, fate: Fate, why: str) -> Outcome:
        news = News(
            str(fate),
            order.plan.model,
            order.plan.version,
            str(order.plan.from_stage),
            str(order.plan.to_stage),
            order.reason,
            order.evidence_hash,
            {"why": why, "act": str(order.plan.act), "request": order.request},
        )
        with transaction(self._engine(), "an interrupted promotion cannot be closed") as connection:
            event = self._trail.append(connection, order.by, news)
            self._close_rows(connection, intent, order, fulfilled=False)
        sentence = f"{order.plan.sentence()} (asked by {order.by.name}) was {fate}: {why}"
        return Outcome(order, fate, f"{sentence.rstrip('.')}.", event)

    def _close_rows(self, connection: Connection, intent: int, order: Order, *, fulfilled: bool) -> None:
        closed = {"state": "done" if fulfilled else "given up", "closed_at": clock.text(self._now())}
        connection.execute(
            sa.update(registry_intents).where(registry_intents.c.id == intent).values(**closed)
        )
        if order.request is not None and fulfilled:
            fulfil = sa.update(promotion_requests).where(promotion_requests.c.id == order.request)
            connection.execute(fulfil.values(state="promoted"))

    def _open(self, order: Order) -> int:
        row = {
            "store_key": self._store_key,
            "model": order.plan.model,
            "state": "open",
            "order": order.to_json(),
            "opened_at": clock.text(self._now()),
        }
        with transaction(self._engine(), f"nothing was done to {order.plan.model}") as connection:
            done = connection.execute(sa.insert(registry_intents).values(**row))
        return int(done.inserted_primary_key[0])  # type: ignore[index]

    def _open_intent(self, model: str) -> tuple[int, Order] | None:
        identity = {"store_key": self._store_key, "model": model, "state": "open"}
        query = sa.select(registry_intents).where(row_of(registry_intents, identity))
        with transaction(self._engine(), "unfinished promotions cannot be looked for") as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.id, Order.from_json(row.order))


def _news(order: Order, fate: Fate, changed: tuple[str, ...]) -> News:
    plan = order.plan
    details: dict[str, Any] = {
        "moves": plan.to_json()["moves"],
        "champions": list(plan.champions),
        "why": plan.why,
        "aliases": list(changed),
    }
    if order.request is not None:
        details["request"] = order.request
    if order.override is not None:
        details["override"] = order.override
        details["overridden"] = list(order.overridden)
    if fate is not Fate.DONE:
        details["fate"] = str(fate)
    return News(
        ACTIONS[plan.act],
        plan.model,
        plan.version,
        str(plan.from_stage),
        str(plan.to_stage),
        order.reason,
        order.evidence_hash,
        details,
    )


def _sentence(order: Order, fate: Fate) -> str:
    plan = order.plan
    done = {
        Act.PROMOTE: f"{plan.model} v{plan.version} is in {plan.to_stage} now",
        Act.ROLL_BACK: f"{plan.model} is rolled back: v{plan.version} is in Production now",
        Act.ARCHIVE: f"{plan.model} v{plan.version} is archived",
        Act.SETTLE: f"{plan.model} v{plan.version} alone is in Production now",
    }[plan.act]
    left = f"; {' and '.join(f'v{one}' for one in plan.archives)} went to Archived" if plan.archives else ""
    late = f" ({fate})" if fate is not Fate.DONE else ""
    return f"{done}{left}{late}."
