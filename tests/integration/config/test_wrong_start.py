"""web and app end at once, and say why, when they were set up so that facts could be changed."""

import os
import subprocess
from pathlib import Path

import pytest

from config.servers import app_command, web_command
from sandbox.places import CHECKOUT, free_port
from tests.database import Session
from tests.servers import socket_folder


@pytest.mark.parametrize("name", ["web", "app"])
def test_a_server_with_a_powerful_role_does_not_serve(
    name: str, test_session: Session, tmp_path: Path
) -> None:
    powerful = test_session.databases.superuser_url(test_session.name)
    log = tmp_path / "log"
    with socket_folder() as folder, log.open("wb") as output:
        argv = {
            "web": web_command(bind="127.0.0.1", port=free_port(), processes=1),
            "app": app_command(address=f"unix:{folder / 'app.sock'}", processes=1),
        }[name]
        ended = subprocess.run(
            argv, cwd=CHECKOUT, env={**os.environ, "GATE_DATABASE_URL": powerful},
            stdout=output, stderr=output, timeout=60,
        )  # fmt: skip
    said = log.read_text()
    assert ended.returncode != 0, said
    assert "Refused to start" in said
    assert "is a superuser" in said
