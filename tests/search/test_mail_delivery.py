"""Handing mail to a server that is busy, refuses some, is away, or wants encryption."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from polyvec.errors import BadInput
from polyvec.search.digest_mail import address
from polyvec.search.mail_delivery import Delivery, MailServer, Undelivered, deliver
from polyvec.search.running import bind

SENDER = address("polyvec@example.org")
MESSAGE = b"Subject: hello\r\n\r\nHello.\r\n"
ADA, BOB = "ada@example.org", "bob@example.org"


class Waits(list[float]):
    """Notes how long it was to wait, and does not."""

    def __call__(self, seconds: float) -> bool:
        self.append(seconds)
        return False


@pytest.fixture
def waits() -> Waits:
    return Waits()


def send(mailbox, waits, *to: str, patience: float = 900.0) -> Delivery:
    server = MailServer.from_url(mailbox.url)
    return deliver(server, SENDER, to, MESSAGE, patience=patience, wait=waits)


def test_it_arrives(mailbox, waits) -> None:
    assert send(mailbox, waits, ADA, BOB) == Delivery((), {})
    [envelope] = mailbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("polyvec@example.org", [ADA, BOB])
    assert envelope.content == MESSAGE
    assert waits == []


def test_a_busy_server_is_asked_again_and_later_each_time(mailbox, waits) -> None:
    mailbox.refuse = ["451 busy", "421 busy", "452 full"]
    assert send(mailbox, waits, ADA) == Delivery((), {})
    assert waits == [5, 15, 45]
    assert len(mailbox.envelopes) == 1


def test_patience_ends(mailbox, waits) -> None:
    mailbox.refuse = ["451 busy"] * 9
    with pytest.raises(
        Undelivered, match=r"127\.0\.0\.1:\d+: 451 busy; nothing was sent, and noth"
    ):
        send(mailbox, waits, ADA, patience=30)
    assert waits == [5, 15]


def test_an_end_that_is_asked_for_ends_the_waiting(mailbox) -> None:
    mailbox.refuse_to = {BOB: ["450 later"] * 9}
    server = MailServer.from_url(mailbox.url)
    done = deliver(server, SENDER, [ADA, BOB], MESSAGE, patience=900, wait=lambda _: True)
    assert done == Delivery((BOB,), {})


def test_everybody_gets_it_once(mailbox, waits) -> None:
    mailbox.refuse_to = {BOB: ["450 greylisted"], "no@example.org": ["550 unknown"]}
    done = send(mailbox, waits, ADA, BOB, "no@example.org")
    assert done == Delivery((), {"no@example.org": "550 unknown"})
    assert mailbox.readers == [[ADA], [BOB]]
    assert waits == [5]


def test_a_lasting_refusal_is_not_tried_again(mailbox, waits) -> None:
    mailbox.refuse = ["554 spam"]
    with pytest.raises(Undelivered, match="554 spam"):
        send(mailbox, waits, ADA)
    mailbox.refuse_to = {ADA: ["550 unknown"]}
    with pytest.raises(Undelivered, match="550 unknown"):
        send(mailbox, waits, ADA)
    # Of two, one got it before the server said no for good.
    mailbox.refuse_to = {BOB: ["450 later"]}
    mailbox.on_mail = lambda: mailbox.refuse.append("554 spam")
    assert send(mailbox, waits, ADA, BOB) == Delivery((), {BOB: "554 spam"})
    assert waits == [5]


def test_a_server_that_is_away_is_asked_again(waits) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Undelivered, match="Connection refused"):
        deliver(MailServer("127.0.0.1", port), SENDER, [ADA], MESSAGE, patience=10, wait=waits)
    assert waits == [5]


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", *made, "-days", "2", "-subj", "/CN=elsewhere"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


def test_starttls_and_a_password(serve_mail, certificate, waits) -> None:
    seen = []

    def authenticate(server, session, envelope, mechanism, data) -> AuthResult:
        seen.append((session.ssl is not None, data.login, data.password))
        return AuthResult(success=data.password == b"secret", handled=False)

    mailbox = serve_mail(
        tls_context=certificate,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    url = mailbox.url.replace("smtp://", "smtp://ada%40example.org@")
    server = MailServer.from_url(url, "secret")
    deliver(server, SENDER, [ADA], MESSAGE, patience=0, wait=waits)
    assert seen == [(True, b"ada@example.org", b"secret")]
    assert mailbox.readers == [[ADA]]
    with pytest.raises(Undelivered, match="535"):
        deliver(MailServer.from_url(url, "wrong"), SENDER, [ADA], MESSAGE, patience=900, wait=waits)
    assert waits == []


def test_elsewhere_no_password_in_the_clear_and_no_strange_certificate(
    serve_mail, certificate, mailbox, waits, monkeypatch
) -> None:
    encrypted = serve_mail(tls_context=certificate, require_starttls=True)
    monkeypatch.setattr("polyvec.search.mail_delivery._THIS_MACHINE", frozenset())
    for port, sentence in (
        (mailbox.port, "offers no encryption for the password"),
        (encrypted.port, "CERTIFICATE_VERIFY_FAILED"),
    ):
        server = MailServer("127.0.0.1", port, user="ada", password="secret")
        with pytest.raises(Undelivered, match=sentence):
            deliver(server, SENDER, [ADA], MESSAGE, patience=900, wait=waits)
    assert waits == []


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", MailServer("localhost", 25)),
        ("smtp://[::1]:2525/", MailServer("::1", 2525)),
        ("smtps://ada@mail.example.org", MailServer("mail.example.org", 465, True, "ada", "pw")),
    ],
)
def test_addresses_of_servers(url: str, server: MailServer) -> None:
    assert MailServer.from_url(url, "pw" if server.user else "") == server
    assert "pw" not in str(server)


@pytest.mark.parametrize("url", ["localhost", "http://a", "smtp://", "smtp://a:x", "smtp://a/b?c"])
def test_bad_addresses_of_servers(url: str) -> None:
    with pytest.raises(BadInput, match="give smtp://user@host:587"):
        MailServer.from_url(url)


def test_passwords_come_from_the_environment() -> None:
    with pytest.raises(BadInput, match="POLYVEC_SMTP_PASSWORD") as error:
        MailServer.from_url("smtp://ada:secret@localhost")
    assert "secret" not in str(error.value)
    with pytest.raises(BadInput, match="put the password of ada into"):
        MailServer.from_url("smtp://ada@localhost")
