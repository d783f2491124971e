"""Which columns of a logged table are what, where a person had to say it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "table_choices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store_key", sa.String(16), nullable=False),
        sa.Column("experiment_id", sa.String(64), nullable=False),
        sa.Column("columns_key", sa.String(64), nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.Column("chosen_by", sa.String(200), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("store_key", "experiment_id", "columns_key", name="uq_table_choices"),
    )


def downgrade() -> None:
    op.drop_table("table_choices")
