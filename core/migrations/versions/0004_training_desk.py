"""The training desk: jobs, sweeps, schedules, retrainings, retention's trash, live findings, tokens of the API."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _jobs()
    _schedules()
    _retention_and_watch()
    _tokens()


def _jobs() -> None:
    op.create_table(
        "jobs",
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
    )
    op.create_index("ix_jobs_state", "jobs", ["store_key", "state", "priority", "id"])
    op.create_index("ix_jobs_sweep", "jobs", ["sweep_id"])
    op.create_index("ix_jobs_run", "jobs", ["store_key", "run_id"])
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store_key", sa.String(16), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("grid", sa.Text, nullable=False),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asked_at", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.String(32), nullable=True),
    )


def _schedules() -> None:
    op.create_table(
        "schedules",
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
    op.create_table(
        "retrainings",
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
    )
    op.create_index("ix_retrainings_model", "retrainings", ["store_key", "model", "id"])
    op.create_index(
        "uq_retrainings_open",
        "retrainings",
        ["store_key", "model"],
        unique=True,
        sqlite_where=sa.text("outcome is null"),
        postgresql_where=sa.text("outcome is null"),
    )


def _retention_and_watch() -> None:
    op.create_table(
        "trash",
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
    )
    op.create_index("ix_trash_state", "trash", ["store_key", "state"])
    op.create_table(
        "live_findings",
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
    )
    op.create_index("ix_live_findings_model", "live_findings", ["store_key", "model", "version"])


def _tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("made_by", sa.String(200), nullable=False),
        sa.Column("made_at", sa.String(32), nullable=False),
        sa.Column("used_at", sa.String(32), nullable=True),
        sa.Column("revoked_at", sa.String(32), nullable=True),
    )


def downgrade() -> None:
    for table in ("api_tokens", "live_findings", "trash", "retrainings", "schedules", "sweeps", "jobs"):
        op.drop_table(table)
