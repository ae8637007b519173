"""The command, also in a process of its own that is told to end, or killed, while the server takes its mail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import polyvec
from polyvec import cli
from polyvec.search.index import Index

SHIP = "# Ships\n\nOne more ship, one more boat at sea.\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["polyvec", "watch", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return run


@pytest.fixture
def index(tmp_path: Path, docs: Path, model: Path) -> str:
    path = tmp_path / "docs.index"
    Index.build(path, str(docs), model=model)
    return str(path)


@pytest.fixture
def options(index: str, docs: Path, mailbox, tmp_path: Path) -> list[str]:
    mailed = ["--mail", "ada@example.org", "--from", "polyvec@example.org", "--smtp", mailbox.url]
    fed = ["--feed", str(tmp_path / "news.xml"), "--feed", str(tmp_path / "news.json")]
    return [index, "--query", "a boat at sea", "--update", str(docs), *mailed, *fed]


def test_from_a_change_to_a_mail(run, options, docs: Path, mailbox, capsys, tmp_path: Path) -> None:
    assert run(*options, "--once") == 0
    assert 'Watching from now on: "a boat at sea"' in capsys.readouterr().out
    (docs / "ships.md").write_text(SHIP)
    assert run(*options, "--dry-run") == 0
    assert "One more ship, one more boat at sea." in capsys.readouterr().out
    assert mailbox.mails == []
    assert run(*options, "--every", "once") == 0
    assert '1 new: "a boat at sea"; mailed to ada@example.org' in capsys.readouterr().out
    assert run(*options, "--once") == 0
    assert 'Nothing new: "a boat at sea"\n' in capsys.readouterr().out
    assert len(mailbox.mails) == 1
    for name in ("news.xml", "news.json"):
        assert "One more ship" in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["--every", "sometimes"], "every 'sometimes': give hour, day, week"),
        (["--once", "--patience", "once"], "patience 'once': give a time like 15m"),
        (["--once", "--k", "0"], "k = 0"),
        (["--once", "--least", "7"], "least cosine 7"),
        (["--once", "--mode", "magic"], "mode 'magic'"),
        (["--once", "--filter", "kind ="], "filter 'kind ='"),
        (["--filter", "kind ="], "filter 'kind ='"),
        (["--once", "--mail", "x@y\nBcc: z@y"], "has a line break"),
        (["--once", "--from", "nobody"], "address 'nobody'"),
        (["--once", "--smtp", "localhost"], "give smtp://user@host:587"),
        (["--once", "--site", "wiki"], "site 'wiki'"),
        (["--once", "--query", "a\nb"], "has a line break"),
    ],
)
def test_bad_input_is_one_sentence(run, options, capsys, mailbox, changed, sentence) -> None:
    assert run(*options, *changed) == 2
    assert sentence in capsys.readouterr().err.strip().splitlines()[-1]
    assert mailbox.mails == []


def test_somebody_has_to_be_told(run, index, capsys) -> None:
    assert run(index, "--query", "a") == 2
    assert "nobody to tell" in capsys.readouterr().err


def test_a_failed_round_of_a_long_watch_is_said_and_repeated(
    run, options, docs: Path, mailbox, capsys
) -> None:
    assert run(*options, "--once") == 0
    (docs / "ships.md").write_text(SHIP)
    mailbox.refuse = ["554 no"]
    mailbox.on_mail = lambda: os.kill(os.getpid(), signal.SIGTERM)
    before = signal.getsignal(signal.SIGTERM)
    assert run(*options, "--every", "1s", "--patience", "1s") == 0
    said = capsys.readouterr()
    assert "554 no; nothing was sent" in said.err
    assert '1 new: "a boat at sea"; mailed' not in said.out  # it was told to end first
    assert said.err.endswith("Ended; the same command goes on from here.\n")
    assert signal.getsignal(signal.SIGTERM) is before
    mailbox.on_mail = lambda: None
    assert run(*options, "--once") == 0
    assert len(mailbox.mails) == 1  # and yet it was noted


@pytest.mark.parametrize(
    ("sent", "code", "mails"), [(signal.SIGTERM, 0, 1), (signal.SIGKILL, -signal.SIGKILL, 2)]
)
def test_signals_while_the_server_takes_the_mail(
    sent, code, mails, run, options, docs: Path, mailbox
) -> None:
    assert run(*options, "--once") == 0
    (docs / "ships.md").write_text(SHIP)
    source = str(Path(polyvec.__file__).parents[1])
    path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "polyvec", "watch", *options, "--every", "1s"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    mailbox.on_mail = lambda: process.send_signal(sent)
    try:
        _, said = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == code, said
    mailbox.on_mail = lambda: None
    assert run(*options, "--once") == 0
    assert run(*options, "--once") == 0
    assert len(mailbox.mails) == mails  # killed at the worst moment it is repeated, never lost
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 1
