"""Where e-mail goes: to the server that the environment names, else into files of the state folder."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from config.environment import Environment

SMTP = "common.mailing.EmailBackend"
FILES = "django.core.mail.backends.filebased.EmailBackend"
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. Encrypted from the first byte, or (STARTTLS) from the first command on."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    is_encrypted: bool = False


def mail_settings(environment: Environment) -> tuple[str, MailServer]:
    """Return Django's e-mail backend and the server that it talks to."""
    if environment.email_url is None:
        return FILES, MailServer()
    parts = urlsplit(environment.email_url)
    return SMTP, MailServer(
        parts.hostname or "",
        parts.port or _PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.scheme == "smtps",
    )
