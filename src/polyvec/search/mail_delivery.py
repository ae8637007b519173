"""Handing a mail to an SMTP server, again and again while it says that it cannot just now."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from urllib.parse import unquote, urlsplit

from polyvec.console import console
from polyvec.errors import BadInput

PASSWORD = "POLYVEC_SMTP_PASSWORD"

_PORTS = {"smtp": 25, "smtps": 465}
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_TIMEOUT = 30.0
_FIRST_WAIT = 5.0
_GROWTH = 3.0
"""5, 15, 45 seconds, … between attempts."""


class Undelivered(BadInput):
    """Nobody got the mail; the sentence says why."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    Attributes:
        host: name or address.
        port: of the server.
        tls: whether it speaks TLS from the first byte; else STARTTLS is used where it is offered.
        user: to log in as; empty for nobody.
        password: of the user.
    """

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = ""

    @classmethod
    def from_url(cls, url: str, password: str = "") -> MailServer:
        """Read ``smtp://user@host:587`` or ``smtps://user@host``.

        Raises:
            BadInput: when the address is malformed or holds a password, or the password is missing.

        Example:
            >>> MailServer.from_url("smtps://ada%40example.org@mail.example.org", "secret").user
            'ada@example.org'
            >>> MailServer.from_url("smtp://ada:secret@mail.example.org")
            Traceback (most recent call last):
            ...
            polyvec.errors.BadInput: smtp://…@mail.example.org: others can read a password there; put it into the
            environment variable POLYVEC_SMTP_PASSWORD
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or parts.scheme not in _PORTS or parts.path.strip("/") or parts.query:
            raise BadInput(
                f"{url!r}: give smtp://user@host:587, smtps://user@host or smtp://localhost"
            )
        if parts.password is not None:
            raise BadInput(
                f"{parts.scheme}://…@{host}: others can read a password there; put it into the "
                f"environment variable {PASSWORD}"
            )
        user = unquote(parts.username or "")
        if user and not password:
            raise BadInput(
                f"{url}: put the password of {user} into the environment variable {PASSWORD}"
            )
        return cls(host, port or _PORTS[parts.scheme], parts.scheme == "smtps", user, password)

    def __str__(self) -> str:
        return f"{'smtps' if self.tls else 'smtp'}://{self.host}:{self.port}"

    def hand_in(
        self, sender: str, to: Sequence[str], message: bytes
    ) -> Mapping[str, tuple[int, bytes]]:
        """Send a mail once.

        Returns:
            Who did not get it: answers of the server by address.

        Raises:
            OSError: when the server is not reached, or takes it for nobody; smtplib's errors are of this kind.
            BadInput: when the password would travel in the clear.
        """
        context = ssl.create_default_context()
        if self.host in _THIS_MACHINE:
            # Nobody listens between this machine and itself, and its certificate is mostly self-signed.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server = self._connect(context)
        try:
            server.ehlo_or_helo_if_needed()
            if not self.tls and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not self.tls and self.user and self.host not in _THIS_MACHINE:
                raise Undelivered(
                    f"{self}: offers no encryption for the password; use another server"
                )
            if self.user:
                server.login(self.user, self.password)
            refused: dict[str, tuple[int, bytes]] = server.sendmail(sender, list(to), message)
        finally:
            # What comes after the server's "taken" changes nothing about it.
            with suppress(OSError):
                server.quit()
            server.close()
        return refused

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        if self.tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a mail that somebody got.

    Attributes:
        owed: who may get it later; the server said that it could not just now.
        refused: who will not, with the server's answer.
    """

    owed: tuple[str, ...]
    refused: Mapping[str, str]


def deliver(
    server: MailServer,
    sender: Address,
    to: Sequence[str],
    message: bytes,
    *,
    patience: float,
    wait: Callable[[float], bool],
) -> Delivery:
    """Send a mail, and again to those whose server said (4xx), or showed, that it could not just now.

    Args:
        server: where to hand it in.
        sender: whose it is.
        to: addresses.
        message: the whole mail.
        patience: seconds to spend on waiting.
        wait: waits for so many seconds; it returns True where there is no time for that any more.

    Returns:
        Who of them did not get it.

    Raises:
        Undelivered: when nobody did.
    """
    failures: dict[str, _Failure] = {}
    owed, pause = tuple(to), _FIRST_WAIT
    while True:
        failures = {
            **{each: failure for each, failure in failures.items() if each not in owed},
            **_attempt(server, sender.addr_spec, owed, message),
        }
        owed = tuple(each for each in owed if each in failures and failures[each].temporary)
        if not owed or pause > patience:
            break
        console.print(
            f"{server}: {_reasons(failures)}; trying again in {pause:g} seconds",
            markup=False,
            highlight=False,
        )
        if wait(pause):
            break
        patience -= pause
        pause *= _GROWTH
    if len(failures) == len(to):
        reasons = _reasons(failures)
        raise Undelivered(f"{server}: {reasons}; nothing was sent, and nothing is forgotten")
    refused = {each: failure.reason for each, failure in failures.items() if each not in owed}
    return Delivery(owed, refused)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why somebody did not get a mail, and whether to try again."""

    temporary: bool
    reason: str


def _reasons(failures: Mapping[str, _Failure]) -> str:
    return "; ".join(dict.fromkeys(failure.reason for failure in failures.values()))


def _attempt(
    server: MailServer, sender: str, to: Sequence[str], message: bytes
) -> dict[str, _Failure]:
    try:
        answers = server.hand_in(sender, to, message)
    except smtplib.SMTPRecipientsRefused as error:
        answers = error.recipients
        # A server that had enough was not asked about the others.
        unasked = dict.fromkeys(to, _Failure(True, "the server ended it"))
        return {**unasked, **_failures(answers)}
    except OSError as error:
        return dict.fromkeys(to, _failure_of_all(error))
    return _failures(answers)


def _failures(answers: Mapping[str, tuple[int, bytes]]) -> dict[str, _Failure]:
    return {each: _answered(*answer) for each, answer in answers.items()}


def _failure_of_all(error: OSError) -> _Failure:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, error.smtp_error)
    lasting = (smtplib.SMTPException, ssl.SSLCertVerificationError)
    ended = isinstance(error, smtplib.SMTPServerDisconnected)
    reason = str(error.strerror or error) or type(error).__name__
    return _Failure(ended or not isinstance(error, lasting), reason)


def _answered(code: int, text: bytes | str) -> _Failure:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _Failure(400 <= code < 500, f"{code} {' '.join(words.split())}".strip())
