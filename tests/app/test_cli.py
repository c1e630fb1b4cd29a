"""The command line over real HTTP: exit statuses, what is printed, and what is never printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.terminal import chat as chatting
from tests.app.ui.conftest import serving
from tests.app.ui.fake_api import API_KEY, FakeBox, Refusal, create_app

Run = Callable[..., Result]


@pytest.fixture
def box() -> FakeBox:
    """A quick box."""
    return FakeBox(delta_s=0.0, step_s=0.05, think_s=0.0)


@pytest.fixture
def herald(box: FakeBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs ``herald`` against the fake API."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HERALD_") or name in {"EDITOR", "VISUAL"}]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_API_KEY", API_KEY)
    monkeypatch.setattr(chatting, "FOLLOW_UP_TIMEOUT_S", 5.0)
    monkeypatch.setenv("COLUMNS", "140")
    with serving(create_app(box)) as url:
        monkeypatch.setenv("HERALD_PORT", url.rpartition(":")[2])

        def run(*arguments: str, input: str | None = None) -> Result:
            return CliRunner().invoke(app, list(arguments), input=input)

        yield run


def test_a_box_that_is_not_running_is_said_in_one_sentence(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1, no traceback, the command that starts it."""
    monkeypatch.setenv("HERALD_PORT", "9")
    result = herald("chat", "--once", "Hello")
    assert result.exit_code == 1
    assert "Herald is not running at http://127.0.0.1:9." in result.stderr
    assert "./scripts/up" in result.stderr
    assert "Traceback" not in result.output


def test_a_wrong_setting_is_said_in_one_sentence(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, its value and what is allowed."""
    monkeypatch.setenv("HERALD_PORT", "70000")
    result = herald("status")
    assert result.exit_code == 1
    assert "HERALD_PORT" in result.stderr
    assert "70000" in result.stderr


def test_a_wrong_key_is_an_error(herald: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the interactive chat, before anything was typed."""
    monkeypatch.setenv("HERALD_API_KEY", "wrong")
    assert herald("actions", "list").exit_code == 1
    assert herald("chat", input="Hello\n").exit_code == 1


def test_options_of_once_need_once(herald: Run) -> None:
    """--approve without --once would approve what nobody has seen."""
    result = herald("chat", "--approve")
    assert result.exit_code == 2
    assert "--once" in result.stderr


def test_a_plain_answer_exits_with_0(herald: Run) -> None:
    """The reply is on stdout."""
    result = herald("chat", "--once", "Hello")
    assert result.exit_code == 0
    assert "You said: Hello" in result.stdout


def test_a_proposal_exits_with_3_and_nothing_runs(herald: Run, box: FakeBox) -> None:
    """The card is shown, and it waits."""
    result = herald("chat", "--once", "Post on X: We open at 9am tomorrow!")
    assert result.exit_code == 3
    assert "We open at 9am tomorrow!" in result.stdout
    assert "24 / 280" in result.stdout
    assert box.executed == []


def test_approve_runs_exactly_what_was_printed(herald: Run, box: FakeBox) -> None:
    """Evidence and outcome follow; exit status 0."""
    result = herald("chat", "--once", "Post on X: We open at 9am tomorrow!", "--approve")
    assert result.exit_code == 0, result.output
    assert box.executed == [{"platform": "x", "text": "We open at 9am tomorrow!", "account": ""}]
    assert "Posted on X as @acme." in result.stdout
    assert "https://x.example/acme/status/42" in result.stdout


def test_approve_of_a_read_ends_with_the_answer(herald: Run) -> None:
    """The message about the result is waited for."""
    result = herald("chat", "--once", "Read https://shop.example and tell me the prices", "--approve")
    assert result.exit_code == 0
    assert "Apples cost **2 €**" in result.stdout


def test_a_failed_action_exits_with_4(herald: Run, box: FakeBox) -> None:
    """Reason and hint are printed."""
    box.fail_next_action = True
    result = herald("chat", "--once", "Post on X: Hello", "--approve")
    assert result.exit_code == 4
    assert "X refused the login of @acme." in result.stdout
    assert "Check the password." in result.stdout


def test_a_proposal_with_a_problem_is_not_approved(herald: Run, box: FakeBox) -> None:
    """Exit status 1 with the reason."""
    result = herald("chat", "--once", "Post on X: " + "x" * 300, "--approve")
    assert result.exit_code == 1
    assert "20 characters too long" in result.stdout
    assert box.executed == []


def test_json_is_one_document_on_stdout(herald: Run) -> None:
    """A program parses the turn, the finished action and what followed."""
    result = herald("chat", "--once", "Read https://shop.example now", "--approve", "--json")
    body = json.loads(result.stdout)
    assert result.exit_code == 0
    assert body["action"]["status"] == "succeeded"
    assert body["follow_up"] == ["Apples cost **2 €** and pears 3 €, says the page."]


def test_a_message_comes_from_stdin(herald: Run) -> None:
    """``--once -`` for long or secret messages."""
    assert "You said: from a pipe" in herald("chat", "--once", "-", input="from a pipe").stdout


def test_an_error_of_a_turn_exits_with_1(herald: Run, box: FakeBox) -> None:
    """Also in the middle of the stream."""
    box.break_next_chat = Refusal(500, "constraint_failed", "The constraint broke.", "Send it again.")
    result = herald("chat", "--once", "Hello")
    assert result.exit_code == 1
    assert "The constraint broke." in result.stderr


def test_terminal_escapes_of_a_reply_are_written_out(herald: Run) -> None:
    """A reply cannot move the cursor, set a title or reverse text."""
    result = herald("chat", "--once", "Hello \x1b]0;evil\x07 \u202eabc")
    assert "\x1b" not in result.stdout
    assert "⟦U+001B⟧" in result.stdout
    assert "⟦U+202E⟧" in result.stdout


def test_chatting_decides_edits_and_goes_on(herald: Run, box: FakeBox) -> None:
    """Edit field by field, approve, then reject another, leave a third, all in one conversation."""
    typed = "\n".join(
        [
            "Post on X: Hello",
            "e",
            "",
            "Hello, edited",
            "",
            "a",
            "Post on X: Two",
            "r",
            "Post on X: Three",
            "l",
            "/quit",
            "",
        ]
    )
    result = herald("chat", input=typed)
    assert result.exit_code == 0, result.output
    assert box.executed == [{"platform": "x", "text": "Hello, edited", "account": ""}]
    assert [a["status"] for a in box.actions.values()] == ["succeeded", "rejected", "awaiting_approval"]
    assert len(box.conversations) == 1


def test_an_editor_edits_the_params_as_json(
    herald: Run, box: FakeBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$EDITOR gets a JSON file."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import json, sys, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "params = json.loads(path.read_text()); params['text'] += '\\nand more'\n"
        "path.write_text(json.dumps(params))\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    herald("chat", input="Post on X: Hello\ne\na\n/quit\n")
    assert [run["text"] for run in box.executed] == ["Hello\nand more"]


def test_a_problem_takes_approve_away(herald: Run, box: FakeBox) -> None:
    """Only edit, reject and later are offered."""
    result = herald("chat", input="Post on X: " + "x" * 300 + "\na\nr\n/quit\n")
    assert "approve, edit" not in result.stderr
    assert "edit, reject or later" in result.stderr
    assert [a["status"] for a in box.actions.values()] == ["rejected"]


def test_actions_are_listed_shown_approved_and_rejected(herald: Run, box: FakeBox) -> None:
    """The decisions of the page are there for a terminal."""
    first = box.propose("post_social", {"platform": "x", "text": "First", "account": ""}, None)
    second = box.propose("scrape_url", {"url": "https://a.example/"}, None)
    listing = herald("actions", "list", "--status", "awaiting_approval").stdout
    assert first["id"] in listing
    assert "https://a.example/" in listing
    assert herald("actions", "approve", first["id"], input="n\n").exit_code == 1
    assert box.executed == []
    assert herald("actions", "approve", first["id"], "--digest", "0" * 64).exit_code == 1
    assert herald("actions", "approve", first["id"], input="y\n").exit_code == 0
    assert box.executed == [{"platform": "x", "text": "First", "account": ""}]
    assert herald("actions", "reject", second["id"]).exit_code == 0
    assert second["status"] == "rejected"
    assert "Posted on X" in herald("actions", "show", first["id"]).stdout
    assert json.loads(herald("actions", "show", first["id"], "--json").stdout)["status"] == "succeeded"
    assert herald("actions", "show", "act_none").exit_code == 1


def test_documents_are_added_searched_and_deleted(herald: Run, box: FakeBox, tmp_path: Path) -> None:
    """One that is refused does not stop the others, and the exit status tells."""
    (tmp_path / "prices.txt").write_text("Apples cost 2 euros.")
    (tmp_path / "bad.exe").write_bytes(b"MZ")
    result = herald("memory", "add", "bad.exe", "missing.txt", "prices.txt")
    assert result.exit_code == 1
    assert "bad.exe is not text, Markdown or PDF." in result.stderr
    assert "missing.txt: No such file" in result.stderr
    assert "1 passages" in result.stdout
    assert "prices.txt" in herald("memory", "list").stdout
    assert "Apples cost 2 euros." in herald("memory", "search", "apples").stdout
    [document_id] = box.documents
    assert herald("memory", "delete", document_id).exit_code == 0
    assert box.documents == {}


def test_a_password_is_read_and_never_an_argument(herald: Run, box: FakeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """From stdin or the environment; it is not printed."""
    arguments = ("accounts", "add", "x", "--handle", "@acme", "--username", "me@acme.example")
    result = herald(*arguments, input="s3cret-word\n")
    assert result.exit_code == 0, result.output
    assert "s3cret-word" not in result.output
    assert herald(*arguments, "--password", "x").exit_code == 2
    assert "@acme" in herald("accounts", "list").stdout
    [account_id] = box.accounts
    assert herald("accounts", "remove", account_id).exit_code == 0
    assert box.accounts == {}
    monkeypatch.setenv("HERALD_ACCOUNT_PASSWORD", "")
    result = herald(*arguments)
    assert result.exit_code == 0
    assert "herald accounts login x @acme" in result.output, "an account without a password says how to log in"


def test_status_tells_by_its_exit_status_too(herald: Run, box: FakeBox) -> None:
    """0 when all is well, else 1."""
    assert herald("status").exit_code == 0
    box.inference = "loading"
    result = herald("status")
    assert result.exit_code == 1
    assert "loading" in result.stdout


def test_conversations_are_listed_and_printed(herald: Run, box: FakeBox) -> None:
    """Messages and cards of an earlier conversation."""
    turn = box.turn("Post on X: Hello", None)
    assert turn["conversation_id"] in herald("conversations", "list").stdout
    shown = herald("conversations", "show", turn["conversation_id"]).stdout
    assert "Post on X: Hello" in shown
    assert "needs your approval" in shown
    assert herald("conversations", "show", "none").exit_code == 1


def test_signin_prints_a_link_that_works_once(herald: Run) -> None:
    """The link is made in the database itself; no running app is needed."""
    link = herald("signin").stdout.strip()
    assert link.startswith("http://127.0.0.1:")
    assert "/signin?token=" in link


def test_the_command_starts_without_loading_the_heavy_parts() -> None:
    """``herald --help`` imports neither Gradio nor torch: a terminal does not wait for them."""
    code = (
        "import sys, app.cli; print([m for m in ('gradio', 'torch', 'sqlalchemy', 'playwright') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
