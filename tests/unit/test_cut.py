"""A connection is found by its peer among the process's open files."""

import socket

import pytest

from llmgw.asgi.cut import Peer, cut_connections


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_some_connections_are_cut_and_no_other(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        clients = [socket.create_connection(listener.getsockname()[:2], timeout=5) for _ in range(4)]
        servers = [listener.accept()[0] for _ in clients]
        peers: list[Peer] = [client.getsockname()[:2] for client in clients[1:3]]
        assert cut_connections(peers) == set(peers)
        for client in clients[1:3]:
            assert client.recv(1) == b""
        for client, server in ((clients[0], servers[0]), (clients[3], servers[3])):
            server.sendall(b"x")
            assert client.recv(1) == b"x"
        for connection in (*clients, *servers):
            connection.close()
        assert not cut_connections(peers)
