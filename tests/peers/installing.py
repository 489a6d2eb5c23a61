"""An environment of its own for each peer, from a lock with hashes; nothing of it enters the project."""

import os
import shutil
import subprocess
import sys
import venv
from hashlib import sha256
from pathlib import Path

from sandbox.places import CHECKOUT

LOCKS = Path(__file__).with_name("requirements")


class CannotInstall(Exception):
    """The peer's packages could not be had."""


def python_of(peer: str, *, folder: Path) -> Path:
    """The peer's Python, installed when it is not there yet. Raises CannotInstall."""
    lock = LOCKS / f"{peer}.txt"
    target = folder / "environments" / peer
    python, stamp = target / "bin" / "python", target / "peer.stamp"
    digest = sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return python
    shutil.rmtree(target, ignore_errors=True)
    venv.create(target, with_pip=True, symlinks=True)
    answer = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
        cwd=CHECKOUT, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if answer.returncode:
        raise CannotInstall(f"{peer}: {answer.stderr.strip().splitlines()[-1:]}")
    stamp.write_text(digest, encoding="ascii")
    return python


def own_python() -> Path:
    """The project's own, for Counterfoil itself."""
    return Path(sys.executable)
