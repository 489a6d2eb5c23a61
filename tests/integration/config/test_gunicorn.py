"""gunicorn stays usable for those who run it: in place of Granian for app, behind the same web."""

import os
from pathlib import Path

import httpx

from config.servers import gunicorn_command
from sandbox.children import ChildSpec
from sandbox.places import free_port, is_listening
from tests.servers import serving, socket_folder, web_spec


class TestGunicorn:
    def test_serves_the_same_application_behind_web(self, tmp_path: Path) -> None:
        port = free_port()
        with socket_folder() as folder:
            address = f"unix:{folder / 'app.sock'}"
            spec = ChildSpec(
                name="gunicorn",
                argv=gunicorn_command(address=address, processes=1),
                ready=lambda _: is_listening(folder / "app.sock"),
                environment=dict(os.environ),
            )
            with serving(spec, folder=tmp_path), serving(web_spec(port, address), folder=tmp_path):
                assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
                assert (folder / "app.sock").stat().st_mode & 0o777 == 0o700
