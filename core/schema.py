"""The tables of Greenroom's own database: what MLflow has no place for. The migrations make them.

`store_key` says which tracking store a row is about. Times that are hashed or compared are texts, ISO 8601 in UTC
with microseconds, so that they are the same on every database.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

REVISION: Final = "0004"
"""The newest migration, which makes these tables what they are here."""

metadata = sa.MetaData()

saved_views = sa.Table(
    "saved_views",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("page", sa.String(32), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("choices", sa.Text, nullable=False),
    sa.Column("saved_by", sa.String(200), nullable=False),
    sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("store_key", "page", "name", name="uq_saved_views"),
)

table_choices = sa.Table(
    "table_choices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("experiment_id", sa.String(64), nullable=False),
    sa.Column("columns_key", sa.String(64), nullable=False),
    sa.Column("choice", sa.Text, nullable=False),
    sa.Column("chosen_by", sa.String(200), nullable=False),
    sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("store_key", "experiment_id", "columns_key", name="uq_table_choices"),
)

audit_events = sa.Table(
    "audit_events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("model", sa.String(256), nullable=True),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("from_stage", sa.String(20), nullable=True),
    sa.Column("to_stage", sa.String(20), nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence_hash", sa.String(64), nullable=True),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index("ix_audit_events_model", "store_key", "model", "seq"),
)

# One row: the end of the chain. Whoever appends updates it first, and so waits for who appends already.
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

registry_intents = sa.Table(
    "registry_intents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("order", sa.Text, nullable=False),
    sa.Column("opened_at", sa.String(32), nullable=False),
    sa.Column("closed_at", sa.String(32), nullable=True),
    sa.Index(
        "uq_registry_intents_open",
        "store_key",
        "model",
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
)

seen_versions = sa.Table(
    "seen_versions",
    metadata,
    sa.Column("store_key", sa.String(16), primary_key=True),
    sa.Column("model", sa.String(256), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
    sa.Column("how", sa.String(20), nullable=False),
)

promotion_requests = sa.Table(
    "promotion_requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("to_stage", sa.String(20), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("asked_by", sa.String(200), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("dossier_hash", sa.String(64), nullable=True),
    sa.Column("decided_by", sa.String(200), nullable=True),
    sa.Column("decided_at", sa.String(32), nullable=True),
    sa.Column("comment", sa.Text, nullable=True),
    sa.Column("override", sa.Text, nullable=True),
    sa.Index(
        "uq_promotion_requests_open",
        "store_key",
        "model",
        "version",
        "to_stage",
        unique=True,
        sqlite_where=sa.text("state in ('waiting', 'approved')"),
        postgresql_where=sa.text("state in ('waiting', 'approved')"),
    ),
)

# Content by its hash: written once, never changed.
dossiers = sa.Table(
    "dossiers",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("made_at", sa.String(32), nullable=False),
)

load_tests = sa.Table(
    "load_tests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Index("ix_load_tests_version", "store_key", "model", "version"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("project", sa.String(200), nullable=False),
    sa.Column("entry_point", sa.String(200), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("experiment", sa.String(500), nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("engine", sa.String(20), nullable=False),
    sa.Column("resources", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("asked_by", sa.String(200), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=True),
    sa.Column("sweep_id", sa.Integer, nullable=True),
    sa.Column("made_from", sa.Integer, nullable=True),
    sa.Column("resumes", sa.Integer, nullable=True),
    sa.Column("host", sa.String(255), nullable=True),
    sa.Column("started_at", sa.String(32), nullable=True),
    sa.Column("heard_at", sa.String(32), nullable=True),
    sa.Column("ended_at", sa.String(32), nullable=True),
    sa.Column("exit_code", sa.Integer, nullable=True),
    sa.Column("stop_asked_by", sa.String(200), nullable=True),
    sa.Column("progress", sa.Text, nullable=True),
    # Whether MLflow has been told how it ended.
    sa.Column("told", sa.Boolean, nullable=False),
    sa.Index("ix_jobs_state", "store_key", "state", "priority", "id"),
    sa.Index("ix_jobs_sweep", "sweep_id"),
    sa.Index("ix_jobs_run", "store_key", "run_id"),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=True),
    sa.Column("asked_by", sa.String(200), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("ended_at", sa.String(32), nullable=True),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("project", sa.String(200), nullable=False),
    sa.Column("entry_point", sa.String(200), nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("engine", sa.String(20), nullable=False),
    sa.Column("artifact_path", sa.String(500), nullable=False),
    sa.Column("mode", sa.String(20), nullable=False),
    sa.Column("last_days", sa.Integer, nullable=False),
    sa.Column("epochs", sa.Integer, nullable=False),
    sa.Column("interval_days", sa.Integer, nullable=False),
    # The first day, the time of day and the zone: what is due follows from these three and the interval.
    sa.Column("anchor", sa.String(10), nullable=False),
    sa.Column("time_of_day", sa.String(8), nullable=False),
    sa.Column("zone", sa.String(64), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("next_due", sa.String(32), nullable=True),
    sa.Column("set_by", sa.String(200), nullable=False),
    sa.Column("set_at", sa.String(32), nullable=False),
    sa.UniqueConstraint("store_key", "model", name="uq_schedules"),
)

retrainings = sa.Table(
    "retrainings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("trigger", sa.String(20), nullable=False),
    sa.Column("due_at", sa.String(32), nullable=True),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("step", sa.String(20), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("prepared", sa.Text, nullable=True),
    sa.Column("job_id", sa.Integer, nullable=True),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("verdict", sa.Text, nullable=True),
    sa.Column("log", sa.Text, nullable=False),
    sa.Column("asked_by", sa.String(200), nullable=False),
    sa.Column("asked_as", sa.String(20), nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False),
    sa.Column("ended_at", sa.String(32), nullable=True),
    sa.Index("ix_retrainings_model", "store_key", "model", "id"),
    # Never two at once.
    sa.Index(
        "uq_retrainings_open",
        "store_key",
        "model",
        unique=True,
        sqlite_where=sa.text("outcome is null"),
        postgresql_where=sa.text("outcome is null"),
    ),
)

trash = sa.Table(
    "trash",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("model", sa.String(256), nullable=True),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("run_id", sa.String(64), nullable=True),
    sa.Column("bytes", sa.BigInteger, nullable=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("deleted_by", sa.String(200), nullable=False),
    sa.Column("deleted_at", sa.String(32), nullable=False),
    sa.Column("purge_after", sa.String(32), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("closed_at", sa.String(32), nullable=True),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index("ix_trash_state", "store_key", "state"),
)

live_findings = sa.Table(
    "live_findings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("store_key", sa.String(16), nullable=False),
    sa.Column("model", sa.String(256), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("findings", sa.Text, nullable=False),
    sa.Column("policy", sa.String(20), nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("closed_at", sa.String(32), nullable=True),
    sa.UniqueConstraint("store_key", "run_id", "model", "version", name="uq_live_findings"),
    sa.Index("ix_live_findings_model", "store_key", "model", "version"),
)

# A token is shown once, when it is made; kept is its hash.
api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("made_at", sa.String(32), nullable=False),
    sa.Column("used_at", sa.String(32), nullable=True),
    sa.Column("revoked_at", sa.String(32), nullable=True),
)
