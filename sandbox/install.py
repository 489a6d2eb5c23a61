"""`python3 -m sandbox.install`: the virtual environment with the locked packages. Standard library only.

uv (itself pinned and checked by hash) installs in seconds; where it cannot, pip does the same from the same
lock. A stamp with the lock's digest makes a second call free.
"""

import os
import subprocess
import sys
import time
import venv
from hashlib import sha256

from sandbox.places import CHECKOUT

OLDEST_PYTHON = (3, 11)
_FOLDER = CHECKOUT / ".venv"
_PYTHON = _FOLDER / "bin" / "python"
_LOCKS = ("uv.txt", "base.txt", "dev.txt", "spec.txt")


def _digest() -> str:
    text = b"".join((CHECKOUT / "requirements" / name).read_bytes() for name in _LOCKS)
    return sha256(text).hexdigest()


def _run(*command: str) -> bool:
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, cwd=CHECKOUT, env=environment).returncode == 0


def _make_environment() -> None:
    if _PYTHON.exists() and _run(str(_PYTHON), "-c", "import pip"):
        return
    try:
        venv.create(_FOLDER, with_pip=True, clear=True, symlinks=True)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"python3 -m venv does not work here ({error}). On Debian: apt install python3-venv")


def _install() -> bool:
    """Everything of dev.txt; of spec.txt the package alone, without what it would draw in."""
    lock, alone = (str(CHECKOUT / "requirements" / name) for name in ("dev.txt", "spec.txt"))
    pip = (str(_PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes")
    if _run(*pip, "-r", "requirements/uv.txt"):
        uv = (
            str(_FOLDER / "bin" / "uv"),
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--system-certs",
        )
        hashed = (*uv, "--require-hashes", "--python", str(_PYTHON))
        if _run(*hashed, "-r", lock) and _run(*hashed, "--no-deps", "-r", alone):
            return True
    print("uv cannot install here; pip takes over (slower) …", flush=True)
    return _run(*pip, "-r", lock) and _run(*pip, "--no-deps", "-r", alone)


def main() -> int:
    """Install what is missing; say what is done and how long it took."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        print(f"Python {wanted} or newer is needed; this is {sys.version.split()[0]}.")
        return 1
    stamp = _FOLDER / "counterfoil.stamp"
    digest = _digest()
    if _PYTHON.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return 0
    started_at = time.monotonic()
    print("Installing the locked packages into .venv …", flush=True)
    _make_environment()
    if not _install():
        print("The packages could not be installed; see above.", file=sys.stderr)
        return 1
    stamp.write_text(digest, encoding="ascii")
    print(f"✓ Packages installed ({time.monotonic() - started_at:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
