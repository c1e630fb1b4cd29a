"""Users, projects and their members; every domain's rows belong to a project."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWNER = "usr_owner"
DEFAULT_PROJECT = "prj_default"
SCOPED = ("accounts", "actions", "conversations", "messages", "documents")


def upgrade() -> None:
    """Apply."""
    _make_users()
    _make_projects()
    _make_first_rows()
    _replace_browser_sessions()
    for table in SCOPED:
        _add_project(table)
    _add_project_to_audit()


def _make_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("password_hash", sa.String(300), nullable=True),
        sa.Column("is_box_owner", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        _user_id("api_keys"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("tier", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.Column("used_on", sa.Date(), nullable=True),
        sa.Column("used_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_api_keys_secret_hash"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.String(64), nullable=False),
        _user_id("password_resets"),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_password_resets"),
    )


def _make_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.String(1_000), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_table(
        "memberships",
        _project_id("memberships"),
        _user_id("memberships"),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        _project_id("invitations"),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
    )
    op.create_index("ix_invitations_project_id", "invitations", ["project_id"])


def _make_first_rows() -> None:
    """The owner of the box, the default project, and the one in the other: what the box has belongs to them."""
    at = {"at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")}
    ids = {"owner": OWNER, "project": DEFAULT_PROJECT}
    for statement in (
        "INSERT INTO users (id, name, is_box_owner, created_at) VALUES (:owner, 'Owner', 1, :at)",
        "INSERT INTO projects VALUES (:project, 'My project', '', :at)",
        "INSERT INTO memberships VALUES (:project, :owner, 'owner', :at)",
    ):
        used = {name: value for name, value in (at | ids).items() if f":{name}" in statement}
        op.execute(sa.text(statement).bindparams(**used))


def _replace_browser_sessions() -> None:
    op.create_table(
        "login_sessions",
        sa.Column("id_hash", sa.String(64), nullable=False),
        _user_id("login_sessions"),
        sa.Column("via", sa.String(10), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name="pk_login_sessions"),
    )
    op.create_index("ix_login_sessions_user_id", "login_sessions", ["user_id"])
    op.execute(
        f"INSERT INTO login_sessions SELECT id_hash, '{OWNER}', 'session', created_at, expires_at"  # noqa: S608
        " FROM browser_sessions"
    )
    op.drop_table("browser_sessions")


def _add_project(table: str) -> None:
    """SQLite cannot add such a column to a table with rows: the table is made anew, with foreign keys off meanwhile."""
    op.add_column(table, sa.Column("project_id", sa.String(40), server_default=DEFAULT_PROJECT))
    with op.batch_alter_table(table, recreate="always") as batch:
        batch.alter_column("project_id", existing_type=sa.String(40), nullable=False, server_default=None)
        name = f"fk_{table}_project_id_projects"
        batch.create_foreign_key(name, "projects", ["project_id"], ["id"], ondelete="CASCADE")
        batch.create_index(f"ix_{table}_project_id", ["project_id"])
        if table == "accounts":
            batch.drop_constraint("uq_accounts_platform_handle", type_="unique")
            columns = ["project_id", "platform", "handle"]
            batch.create_unique_constraint("uq_accounts_project_id_platform_handle", columns)
        if table == "documents":
            batch.drop_constraint("uq_documents_sha256", type_="unique")
            batch.create_unique_constraint("uq_documents_project_id_sha256", ["project_id", "sha256"])


def _add_project_to_audit() -> None:
    """What there is so far belongs to the default project, but for signing in, which concerns the box."""
    op.add_column("audit", sa.Column("project_id", sa.String(40), nullable=True))
    op.create_index("ix_audit_project_id_id", "audit", ["project_id", "id"])
    op.execute("DROP TRIGGER audit_refuses_update")
    op.execute(f"UPDATE audit SET project_id = '{DEFAULT_PROJECT}' WHERE event NOT LIKE 'auth.%'")  # noqa: S608
    op.execute(
        """CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
           BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"""
    )


def _user_id(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("users.id", name=f"fk_{table}_user_id_users", ondelete="CASCADE")
    return sa.Column("user_id", sa.String(40), key, nullable=False)


def _project_id(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("projects.id", name=f"fk_{table}_project_id_projects", ondelete="CASCADE")
    return sa.Column("project_id", sa.String(40), key, nullable=False)
