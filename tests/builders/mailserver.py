"""A mail server: a real one on a port of its own, which keeps what it got and answers as it is told."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

SILENCE: str | None = None
HANGS_UP = ""
BODY, GREETING = ".", "hello"
Respond = Callable[[str, str], str | None]


def usual(verb: str, argument: str) -> str | None:
    """What a server answers to a command, to a connection (GREETING), and to a message's end (BODY)."""
    return {"DATA": "354 go on", GREETING: "220 here", "QUIT": "221 bye"}.get(verb, "250 fine")


@dataclass
class MailServer:
    """Where it listens, the messages that it has, how many connections there were, and how it answers: by a line,
    with SILENCE, or it HANGS_UP."""

    port: int
    got: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    respond: Respond = usual
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def addresses(self) -> list[str]:
        """To whom it has messages, in order."""
        return [str(each["To"]) for each in self.got]

    def answers(self, verb: str, reply: str | None, *, to: str = "") -> None:
        """Answer so to this command from now on, where its argument has `to` in it."""
        self.respond = lambda given, argument: (
            reply if given == verb and to in argument else usual(given, argument)
        )

    def is_late(self, verb: str, seconds: float) -> None:
        """Answer this command after a while."""

        def slowly(given: str, argument: str) -> str | None:
            if given == verb:
                self.ended.wait(seconds)
            return usual(given, argument)

        self.respond = slowly


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    mail: MailServer


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        mail = cast(_Server, self.server).mail
        mail.connections += 1
        with suppress(ConnectionError, EOFError):
            self._talk(mail)

    def _talk(self, mail: MailServer) -> None:
        self._say(mail, mail.respond(GREETING, ""))
        while line := self.rfile.readline():
            verb, _, argument = line.decode().strip().partition(" ")
            reply = mail.respond(verb.upper(), argument)
            self._say(mail, reply)
            if reply and reply.startswith("354"):
                self._take(mail)

    def _take(self, mail: MailServer) -> None:
        content = b""
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise EOFError
            content += line
        message = cast(EmailMessage, message_from_bytes(content, policy=cast(Any, policy.default)))
        reply = mail.respond(BODY, str(message["To"]))
        if not reply or reply.startswith("2"):
            mail.got.append(message)
        self._say(mail, reply)

    def _say(self, mail: MailServer, reply: str | None) -> None:
        if reply is None:
            mail.ended.wait()
        if not reply:
            raise EOFError
        self.wfile.write(reply.encode() + b"\r\n")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server on a free port of 127.0.0.1 until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.mail = MailServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.mail
    finally:
        server.mail.ended.set()
        server.shutdown()
        server.server_close()
