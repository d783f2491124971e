"""The findings about live figures: each run once, open until it was acted upon."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from core import clock
from core.database import row_of, transaction
from core.registry.monitoring.configuration import Policy
from core.registry.monitoring.judging import Judgement, Verdict
from core.schema import live_findings

OPEN: Final = "open"
CLOSED: Final = "closed"
_OTHERWISE: Final = "findings about live figures can be neither read nor written"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the live figures of one run say about a version.

    Attributes
    ----------
    at : datetime
        When it was found, UTC.
    passed : bool
        False where a threshold is broken; a run that was not judged breaks none. `findings` says which it is.
    findings : mapping
        verdict, sentence, periods, thresholds, and the run's name.
    act : str
        What was done about it.
    state : str
        ``open`` until that is done, then ``closed``.
    """

    id: int
    model: str
    version: int
    run_id: str
    at: datetime
    passed: bool
    findings: Mapping[str, Any]
    policy: Policy
    act: str
    state: str
    closed_at: datetime | None

    @property
    def verdict(self) -> Verdict:
        """Whether the thresholds are kept or broken, or could not be judged."""
        return Verdict(self.findings["verdict"])

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        return str(self.findings["sentence"])


class Findings:
    """The findings of one tracking store."""

    def __init__(self, engine: Callable[[], Engine], store_key: str) -> None:
        self._engine = engine
        self._store_key = store_key

    def find(self, model: str | None = None, state: str | None = None) -> tuple[Finding, ...]:
        """Return findings, oldest first.

        Raises
        ------
        DatabaseError
        """
        identity = {"store_key": self._store_key}
        identity |= {key: value for key, value in (("model", model), ("state", state)) if value is not None}
        query = sa.select(live_findings).where(row_of(live_findings, identity)).order_by(live_findings.c.id)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return tuple(_finding(row) for row in connection.execute(query))

    def known(self) -> frozenset[tuple[str, str, int]]:
        """Return run id, model and version of every finding."""
        table = live_findings.c
        query = sa.select(table.run_id, table.model, table.version).where(table.store_key == self._store_key)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return frozenset(tuple(row) for row in connection.execute(query))

    def get(self, number: int) -> Finding:
        """Return a finding by its number."""
        query = sa.select(live_findings).where(live_findings.c.id == number)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return _finding(connection.execute(query).one())

    def record(
        self,
        model: str,
        version: int,
        run: tuple[str, str],
        judgement: Judgement,
        policy: Policy,
        at: datetime,
        nothing: str,
    ) -> Finding | None:
        """Write a finding down; None where somebody else has.

        Parameters
        ----------
        run : (str, str)
            Its id and its name.
        nothing : str
            Why there is nothing to do; "" where something is.
        """
        content = {
            "verdict": str(judgement.verdict),
            "sentence": judgement.sentence,
            "periods": judgement.periods,
            "thresholds": [dict(one) for one in judgement.thresholds],
            "run": run[1],
        }
        row = {
            "store_key": self._store_key,
            "model": model,
            "version": version,
            "run_id": run[0],
            "at": clock.text(at),
            "passed": judgement.verdict is not Verdict.BROKEN,
            "findings": json.dumps(content, ensure_ascii=False),
            "policy": str(policy),
            "act": f"nothing: {nothing}" if nothing else "",
            "state": CLOSED if nothing else OPEN,
            "closed_at": clock.text(at) if nothing else None,
        }
        with transaction(self._engine(), _OTHERWISE) as connection:
            try:
                with connection.begin_nested():
                    done = connection.execute(sa.insert(live_findings).values(**row))
            except sa.exc.IntegrityError:
                return None
        return self.get(int(done.inserted_primary_key[0]))  # type: ignore[index]

    def close(self, connection: Connection, finding: Finding, act: str, at: datetime) -> bool:
        """Say what was done about a finding, if nobody else has; say whether this was written."""
        where = sa.and_(live_findings.c.id == finding.id, live_findings.c.state == OPEN)
        values = {"state": CLOSED, "act": act, "closed_at": clock.text(at)}
        return bool(connection.execute(sa.update(live_findings).where(where).values(**values)).rowcount)


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        id=row.id,
        model=row.model,
        version=row.version,
        run_id=row.run_id,
        at=clock.moment(row.at),
        passed=bool(row.passed),
        findings=json.loads(row.findings),
        policy=Policy(row.policy),
        act=row.act,
        state=row.state,
        closed_at=clock.moment(row.closed_at) if row.closed_at else None,
    )
