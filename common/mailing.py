"""The way to the mail server: one connection for several messages, which knows whether one was handed over.

A refusal is the server's word that it does not have a message. Silence after the message went out is no word at all:
whoever sends something once must tell the one from the other.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends import smtp

REPLY_SECONDS: Final = 60
"""How long a server may take to say that it has a message, which it looks through first (RFC 5321, 4.5.3.2.6, grants
ten minutes, in which a worker would do nothing else). For everything before that EMAIL_TIMEOUT."""

_REFUSALS: Final = (smtplib.SMTPHeloError, smtplib.SMTPSenderRefused, smtplib.SMTPDataError)
_CLOSES: Final = 421


class NoMailServer(Exception):
    """There is no connection, or it ended before the message was handed over: it was not sent."""


class MessageRefused(Exception):
    """The server does not take this message: it was not sent, and the next one may be."""


class OutcomeUnknown(Exception):
    """The message was handed over, and nobody knows what became of it."""


class _Line(smtplib.SMTP):
    """`handed_over`: the server may have the newest message."""

    handed_over = False

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        self.handed_over = False
        return super().mail(sender, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.handed_over = True
        assert self.sock is not None
        patience = self.sock.gettimeout()
        self.sock.settimeout(REPLY_SECONDS)
        try:
            return super().data(msg)
        finally:
            if self.sock is not None:
                self.sock.settimeout(patience)


class _EncryptedLine(_Line, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class EmailBackend(smtp.EmailBackend):
    """Django's, over a connection that knows how far it came."""

    @property
    def connection_class(self) -> type[_Line]:
        """What talks to the server."""
        return _EncryptedLine if self.use_ssl else _Line

    @property
    def handed_over(self) -> bool:
        """Whether the server may have the newest message."""
        return isinstance(self.connection, _Line) and self.connection.handed_over


class Mailbox:
    """Where messages are posted, one after the other by one connection; after a failure by a new one."""

    def __init__(self) -> None:
        self._backend = get_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect, unless that is done. Raises NoMailServer."""
        try:
            self._backend.open()
        except OSError as error:
            self.close()
            raise NoMailServer from error

    def send(self, message: EmailMessage) -> None:
        """Have the server take a message. Raises NoMailServer, MessageRefused and OutcomeUnknown."""
        self.open()
        try:
            self._backend.send_messages([message])
        except Exception as error:
            raise self._meaning_of(error) from error

    def close(self) -> None:
        """Let the connection go."""
        with suppress(OSError):
            self._backend.close()

    def _meaning_of(self, error: Exception) -> Exception:
        handed_over = getattr(self._backend, "handed_over", True)  # of another backend nothing is known
        self.close()
        codes = _codes(error)
        if codes and all(400 <= code < 600 for code in codes):
            return NoMailServer() if _CLOSES in codes else MessageRefused()
        if handed_over:
            return OutcomeUnknown()
        return NoMailServer() if isinstance(error, OSError) else MessageRefused()


def _codes(error: Exception) -> list[int]:
    """What the server refused with; none where it did not refuse."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, _REFUSALS) else []
