"""``herald vault``: changes the key of the stored logins without the app, straight on the database."""

from __future__ import annotations

import typer

from app.errors import NotFound
from app.settings import load_settings
from app.terminal.connection import err, out, plain, reported

app = typer.Typer(help="The stored logins and their key.", no_args_is_help=True)


@app.command("rotate")
def rotate() -> None:
    """Give the vault a new key and seal every login and session with it. Can be killed and run again at any point."""
    from app.accounts.rotation import rotate as rotate_vault  # late: only this command needs the database
    from app.accounts.vault import Vault
    from app.services import build_services

    with reported():
        settings = load_settings()
        if not (settings.home / "herald.db").is_file():
            raise NotFound(
                f"There is no database {settings.home / 'herald.db'}.", hint="Start Herald once, or set HERALD_HOME."
            )
        services = build_services(settings)
        vault = Vault(settings.home, settings.vault_key_text())
        try:
            done = rotate_vault(
                services.database,
                vault,
                services.accounts,
                services.audit,
                actor="cli",
                progress=lambda count: err.print(plain(f"{count} sealed anew …", "dim")),
            )
        finally:
            services.close()
        if done.was_resumed:
            out.print(plain("Went on with a rotation that was not finished."))
        out.print(plain(f"✓ {done.resealed} secrets sealed with the new key."))
        if done.old_keys_dropped:
            out.print(plain("The old key is gone: backups from before need the key file of that time.", "dim"))
        else:
            out.print(plain("All but the first key can be taken out of HERALD_VAULT_KEY now.", "dim"))


@app.command("new-key")
def new_key() -> None:
    """Print a new key for HERALD_VAULT_KEY."""
    from cryptography.fernet import Fernet

    typer.echo(Fernet.generate_key().decode())
