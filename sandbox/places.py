"""Where a checkout keeps its running state, and how files there are written. Standard library only."""

import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107 for the path of a Unix socket."""


def home() -> Path:
    """Return the state folder: COUNTERFOIL_HOME, else `var/` of the checkout."""
    return CHECKOUT / os.environ.get("COUNTERFOIL_HOME", "var")


def write_json(*, path: Path, value: Any) -> None:
    """Write the file so that a reader sees the old or the new content, never a part; mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
    draft.replace(path)


def read_json(*, path: Path) -> Any | None:
    """Return the file's content; None when there is none or it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def port_is_free(*, port: int, bind: str = "127.0.0.1") -> bool:
    """Say whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError:
            return False
    return True


def claim_port(*, port: int, bind: str = "127.0.0.1") -> socket.socket | None:
    """This function will keep a port for one server of this user; None when another has it or keeps it.

    The answer is bound and never listens: no connection arrives there, only servers that share their port
    (`SO_REUSEPORT`, as Granian's processes do) may bind beside it, and who looks first finds the port taken. Close it
    to give the port back.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    claim = socket.socket(family, socket.SOCK_STREAM)
    claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections that still linger
    try:
        claim.bind((bind, port))
    except OSError:
        claim.close()
        return None
    claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return claim


def free_port(*, preferred: int | None = None, bind: str = "127.0.0.1") -> int:
    """Return the preferred port when it is free, else one that the system picks."""
    if preferred and port_is_free(port=preferred, bind=bind):
        return preferred
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
    return port


def is_listening(socket_file: Path) -> bool:
    """Say whether a server accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(socket_file))
        except OSError:
            return False
    return True
