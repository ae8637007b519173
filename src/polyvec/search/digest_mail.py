"""A digest as a mail: text and HTML, and the headers of a mail that a machine sends."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Sequence
from email import policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr

from polyvec.errors import BadInput
from polyvec.search.digest import Digest

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOMAIN = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


def address(text: str) -> Address:
    r"""Read the address of a person, alone or behind a name.

    Raises:
        BadInput: when it is none, or tries to smuggle in a header.

    Example:
        >>> str(address("Ada <ada@example.org>"))
        'Ada <ada@example.org>'
        >>> address("ada@example.org" + chr(10) + "Bcc: bob@example.org")
        Traceback (most recent call last):
        ...
        polyvec.errors.BadInput: address 'ada@example.org\nBcc: bob@example.org': has a line break or control character
        in it
    """
    if _CONTROL.search(text):
        raise BadInput(f"address {text!r}: has a line break or control character in it")
    name, spec = parseaddr(text)
    local, _, domain = spec.rpartition("@")
    alone = text.strip() == spec or text.strip().endswith(f"<{spec}>")
    if not (alone and _LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise BadInput(
            f"address {text!r}: give one like ada@example.org (other letters as punycode)"
        )
    return Address(display_name=name, addr_spec=spec)


def own_address() -> Address:
    """Who sends where nobody is named: this user on this machine."""
    return address(f"{getpass.getuser()}@{socket.getfqdn()}")


def compose(
    digest: Digest, sender: Address, to: Sequence[Address], identity: str = ""
) -> EmailMessage:
    """Make the mail of a digest.

    Args:
        digest: what to say.
        sender: who says it.
        to: all who get it, in one mail.
        identity: tells digests with the same news apart; the same digest gets the same Message-ID, so that mail boxes
            which know it already can drop it when it is sent again.

    Example:
        >>> from datetime import datetime, timezone
        >>> from polyvec.search.standing_queries import Answer, StandingQuery
        >>> nothing = Answer(StandingQuery("joins"), (), first=False)
        >>> ada = address("ada@example.org")
        >>> mail = compose(Digest("docs.index", [nothing], datetime(2026, 1, 1, tzinfo=timezone.utc)), ada, [ada])
        >>> mail["Subject"], mail["List-Id"], mail.get_content_type()
        ('Nothing new: "joins"', 'polyvec watch, docs.index <docs-index.polyvec-watch.example.org>',
        'multipart/alternative')
    """
    message = EmailMessage(policy=policy.SMTP)
    addresses = ", ".join(each.addr_spec for each in to)
    message["From"] = sender
    message["To"] = tuple(to)
    # The policy's own folding loses blanks between encoded words, and may leave the first line empty.
    message.set_raw("Subject", Header(digest.subject, header_name="Subject").encode())
    message["Date"] = digest.at
    message["Message-ID"] = f"<{digest.identity(addresses, identity).hex}@{sender.domain}>"
    label = re.sub(r"[^a-z0-9]+", "-", digest.name.lower()).strip("-") or "index"
    name = re.sub(r"[^\x20-\x7e]|[<>\"\\()]", "_", digest.name)
    message["List-Id"] = f"polyvec watch, {name} <{label}.polyvec-watch.{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Quoted, so that every server takes it and lines of any length stay within the limit.
    message.set_content(digest.as_text(), cte="quoted-printable")
    message.add_alternative(digest.as_html(), subtype="html", cte="quoted-printable")
    return message
