"""The vault: one key a purpose, values bound to their row, and a change of keys that survives being killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from typer.testing import CliRunner

from app.accounts.rotation import rotate
from app.accounts.service import NewAccount
from app.accounts.vault import Purpose, Vault, VaultUnreadable
from app.cli import app as cli
from app.errors import Conflict
from app.services import Services, build_services
from app.settings import Settings
from automation.actions.base import Account

ROOT = Path(__file__).parents[3]
VALUE = {"username": "u", "password": "hunter2-hunter2"}


def connect(services: Services, number: int) -> Account:
    """An account with a login and a session."""
    new = NewAccount("x", f"acme{number}", f"user{number}", "https://x.com", password=f"pässword-{number}")
    services.accounts.create(new, "t")
    account = Account("x", f"acme{number}", "https://x.com")
    services.accounts.save_session(account, {"cookies": [{"name": "a", "value": f"session-{number}"}]})
    return account


def assert_opens(services: Services, account: Account) -> None:
    """Both of its secrets are as they were."""
    number = account.handle.removeprefix("acme")
    assert services.accounts.credential(account).password == f"pässword-{number}"
    assert services.accounts.load_session(account) == {"cookies": [{"name": "a", "value": f"session-{number}"}]}


def keys_of(services: Services) -> list[str]:
    """The lines of the key file."""
    return (services.settings.home / "keys" / "vault.key").read_text().split()


@pytest.mark.parametrize("key", ["short", "", "!" * 44, "A" * 43 + "=,x"])
def test_a_key_of_the_environment_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    """Before anything is sealed with it."""
    with pytest.raises(VaultUnreadable, match="HERALD_VAULT_KEY"):
        Vault(tmp_path, key).seal(Purpose.LOGIN, "acc_1", VALUE)


def test_a_value_opens_for_its_own_row_and_purpose_alone(tmp_path: Path) -> None:
    """Whoever may write the database cannot give one account another one's login."""
    vault = Vault(tmp_path)
    sealed = vault.seal(Purpose.LOGIN, "acc_1", VALUE)
    assert vault.open(Purpose.LOGIN, "acc_1", sealed) == VALUE
    with pytest.raises(VaultUnreadable, match="another account"):
        vault.open(Purpose.LOGIN, "acc_2", sealed)
    with pytest.raises(VaultUnreadable, match="cannot be decrypted"):
        vault.open(Purpose.SESSION, "acc_1", sealed)
    with pytest.raises(VaultUnreadable):
        vault.open(Purpose.LOGIN, "acc_1", sealed[:-8] + b"AAAAAAA=")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET login_sealed = (SELECT login_sealed FROM accounts WHERE handle = 'acme2')",
        "UPDATE accounts SET login_sealed = session_sealed",
        "UPDATE accounts SET id = 'acc_other' WHERE handle = 'acme1'",
    ],
)
def test_a_value_that_was_moved_in_the_database_does_not_open(services: Services, statement: str) -> None:
    """Neither in another row, nor in another column, nor when its row is given another name."""
    account = connect(services, 1)
    connect(services, 2)
    with services.database.write() as session:
        session.execute(text(statement))
    with pytest.raises(VaultUnreadable):
        services.accounts.credential(account)


def test_a_login_does_not_follow_its_row_to_another_site(services: Services) -> None:
    """Also when the action is approved for that site."""
    connect(services, 1)
    with services.database.write() as session:
        session.execute(text("UPDATE accounts SET base_url = 'https://evil.example'"))
    with pytest.raises(VaultUnreadable):
        services.accounts.credential(Account("x", "acme1", "https://evil.example"))


def test_keys_may_come_from_the_environment(settings: Settings) -> None:
    """No key file is made then, and the first one seals."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    services = build_services(settings.model_copy(update={"vault_key": _secret(old)}), wake=lambda _id: None)
    account = connect(services, 1)
    vault = Vault(settings.home, old)
    with pytest.raises(Conflict, match="holds one key"):
        rotate(services.database, vault, services.accounts, services.audit, actor="t")
    services.close()
    both = build_services(settings.model_copy(update={"vault_key": _secret(f"{new}, {old}")}), wake=lambda _id: None)
    assert_opens(both, account)
    done = rotate(both.database, Vault(settings.home, f"{new},{old}"), both.accounts, both.audit, actor="t")
    assert (done.resealed, done.old_keys_dropped) == (2, False)
    both.close()
    one = build_services(settings.model_copy(update={"vault_key": _secret(new)}), wake=lambda _id: None)
    assert_opens(one, account)
    one.close()
    assert not (settings.home / "keys" / "vault.key").exists()


def _secret(text_: str) -> object:
    from pydantic import SecretStr

    return SecretStr(text_)


def test_rotation_seals_everything_with_a_new_key(services: Services) -> None:
    """A process that is running all the while goes on without a restart, and the old key opens nothing."""
    accounts = [connect(services, number) for number in range(60)]
    (old,) = keys_of(services)
    ended = CliRunner().invoke(cli, ["vault", "rotate"])
    assert ended.exit_code == 0, ended.output
    assert "120 secrets" in ended.output
    (new,) = keys_of(services)
    assert new != old
    assert oct((services.settings.home / "keys" / "vault.key").stat().st_mode)[-3:] == "600"
    for account in accounts:
        assert_opens(services, account)
    assert_opens(services, connect(services, 61))
    (services.settings.home / "keys" / "vault.key").write_text(old)
    with pytest.raises(VaultUnreadable):
        services.accounts.credential(accounts[0])


def test_no_key_is_given_up_while_a_value_opens_with_none(services: Services) -> None:
    """It stays for a backup of the lost key."""
    connect(services, 1)
    with services.database.write() as session:
        session.execute(text("UPDATE accounts SET session_sealed = 'garbage'"))
    ended = CliRunner().invoke(cli, ["vault", "rotate"])
    assert ended.exit_code == 1
    assert len(keys_of(services)) == 2
    assert services.accounts.credential(Account("x", "acme1", "https://x.com")).password == "pässword-1"


@pytest.mark.slow
def test_a_rotation_that_is_killed_at_any_point_loses_nothing(services: Services) -> None:
    """kill -9 at random moments, then once to its end."""
    accounts = [connect(services, number) for number in range(40)]
    first = keys_of(services)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    random_moments = random.Random(7)
    code = (
        "import sys, time\n"
        "from app import keys\n"
        "import app.accounts.rotation as r, app.services as s, app.accounts.vault as v\n"
        "from app.settings import Settings\n"
        "r.BATCH = 1\n"
        "settings = Settings(_env_file=None, inference_port=9)\n"
        "services = s.build_services(settings, wake=lambda _id: None)\n"
        "vault = v.Vault(settings.home)\n"
        "print('ready', flush=True)\n"
        "r.rotate(services.database, vault, services.accounts, services.audit, actor='t',\n"
        "         progress=lambda n: print(n, flush=True))\n"
        "print('done', flush=True)\n"
    )
    killed = 0
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        stop_after = random_moments.choice([0, 1, 3, 20, 60, 79])
        for line in child.stdout:
            if line.strip() in {"done", str(stop_after)} or (stop_after == 0 and line.strip() == "ready"):
                break
        time.sleep(random_moments.random() * 0.02)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        child.stdout.close()
        for account in random_moments.sample(accounts, 5):
            assert_opens(services, account)
    assert killed
    done = rotate(services.database, Vault(services.settings.home), services.accounts, services.audit, actor="t")
    assert done.old_keys_dropped
    assert len(keys_of(services)) == 1
    assert keys_of(services) != first
    for account in accounts:
        assert_opens(services, account)
    assert services.audit.verify().is_sound
