"""The registry desk: audit chain, intents, requests, dossiers, what was seen in the registry, load tests."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What the chain says is said for good: the database itself refuses to change or remove an event.
_SQLITE_TRIGGERS = [
    f"create trigger audit_events_no_{verb} before {verb} on audit_events "
    "begin select raise(abort, 'audit events are append-only'); end"
    for verb in ("update", "delete")
]
_POSTGRESQL_TRIGGERS = [
    "create function audit_events_append_only() returns trigger language plpgsql as "
    "$$ begin raise exception 'audit events are append-only'; end $$",
    "create trigger audit_events_append_only before update or delete on audit_events "
    "for each row execute function audit_events_append_only()",
]


def upgrade() -> None:
    _audit()
    _registry()
    _requests()


def _audit() -> None:
    op.create_table(
        "audit_events",
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
    )
    op.create_index("ix_audit_events_model", "audit_events", ["store_key", "model", "seq"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _registry() -> None:
    op.create_table(
        "registry_intents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store_key", sa.String(16), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("order", sa.Text, nullable=False),
        sa.Column("opened_at", sa.String(32), nullable=False),
        sa.Column("closed_at", sa.String(32), nullable=True),
    )
    # Two people can want the same model at once; only one of them can be at it.
    op.create_index(
        "uq_registry_intents_open",
        "registry_intents",
        ["store_key", "model"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "seen_versions",
        sa.Column("store_key", sa.String(16), primary_key=True),
        sa.Column("model", sa.String(256), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("how", sa.String(20), nullable=False),
    )
    op.create_table(
        "load_tests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store_key", sa.String(16), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_index("ix_load_tests_version", "load_tests", ["store_key", "model", "version"])


def _requests() -> None:
    op.create_table(
        "promotion_requests",
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
    )
    op.create_index(
        "uq_promotion_requests_open",
        "promotion_requests",
        ["store_key", "model", "version", "to_stage"],
        unique=True,
        sqlite_where=sa.text("state in ('waiting', 'approved')"),
        postgresql_where=sa.text("state in ('waiting', 'approved')"),
    )
    op.create_table(
        "dossiers",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("made_at", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    for table in (
        "dossiers",
        "promotion_requests",
        "load_tests",
        "seen_versions",
        "registry_intents",
        "audit_head",
        "audit_events",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("drop function audit_events_append_only()")
