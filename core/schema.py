"""The tables of Greenroom's own database: what MLflow has no place for. The migrations make them.

`store_key` says which tracking store a row is about. Times that are hashed or compared are texts, ISO 8601 in UTC
with microseconds, so that they are the same on every database.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

REVISION: Final = "0003"
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
