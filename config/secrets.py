"""Secrets that the state folder remembers: made once, readable by their owner only."""

import contextlib
import os
import secrets
from pathlib import Path


def remembered_secret(*, path: Path) -> str:
    """Return the secret kept in this file; make it (256 random bits, mode 0600) when there is none.

    Safe against two processes that start at once: the first one to link its file wins, both read it.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text(encoding="ascii").strip()
