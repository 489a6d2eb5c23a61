"""gunicorn stays usable for those who run it."""

import os
from pathlib import Path

import httpx

from config.servers import gunicorn_command
from sandbox.children import ChildSpec
from sandbox.places import free_port
from tests.servers import serving, web_spec


class TestGunicorn:
    def test_serves_the_same_application(self, tmp_path: Path) -> None:
        port = free_port()
        spec = ChildSpec(
            name="gunicorn",
            argv=gunicorn_command(bind="127.0.0.1", port=port),
            ready=web_spec(port).ready,
            environment=dict(os.environ),
        )
        with serving(spec, folder=tmp_path):
            assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
