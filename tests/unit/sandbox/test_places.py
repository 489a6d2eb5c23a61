"""Ports that a server will want, kept for it."""

import socket

from sandbox.places import claim_port, port_is_free


class TestAClaimedPort:
    def test_is_free_for_nobody_who_looks(self) -> None:
        claim = claim_port(port=0)
        assert claim is not None
        with claim:
            port = claim.getsockname()[1]
            assert not port_is_free(port=port)
            assert claim_port(port=port) is None
        assert port_is_free(port=port)

    def test_lets_a_server_that_shares_its_port_listen_and_takes_none_of_its_connections(self) -> None:
        claim = claim_port(port=0)
        assert claim is not None
        with claim, socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(claim.getsockname())
            server.listen()
            for _ in range(20):
                with socket.create_connection(claim.getsockname(), timeout=1) as caller:
                    accepted, address = server.accept()
                    accepted.close()
                    assert address == caller.getsockname()
