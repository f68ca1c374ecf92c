"""Clients that keep a server waiting: connections from several addresses of the loopback network, of several kinds."""

import contextlib
import itertools
import multiprocessing
import resource
import socket
import time

FORM = b"Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"

# What each kind sends before it stops, and what it goes on to send, byte by byte.
KINDS = {
    "nothing": (b"", b""),
    "half a head": (b"GET /healthz HTTP/1.1\r\nHost: local", b"x"),
    "many headers": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100, b"X"),
    "half a body": (b"POST /admin/login HTTP/1.1\r\n" + FORM + b"Content-Length: 9000\r\n\r\ntoken=", b"x"),
    "half a chunk": (b"POST /admin/login HTTP/1.1\r\n" + FORM + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b"x"),
    "idle after an answer": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "never reads": (None, b""),
}

# With more bytes than the socket buffers of both sides hold.
UNREAD_ANSWERS = 3000


# Parts of a second in which clients drip.
SLICES = 100


def allow_open_files(number):
    """Raises this process's limit of open files, which servers that it starts inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        hard = hard if hard == resource.RLIM_INFINITY else max(hard, number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


def connect_from(address, server):
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((address, 0))
    connection.connect((server.host, server.port))
    connection.setblocking(False)
    return connection


def send(connection, data):
    """Sends what can be sent at once; False where the server has closed."""
    try:
        connection.send(data)
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


class SlowClients:
    """`number` connections, spread over `addresses` and all kinds; `large` is the path of an answer that is not read."""

    def __init__(self, server, number, addresses, large):
        self.server = server
        self.large = b"GET " + large.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.open = {}
        kinds = list(KINDS)
        for at in range(number):
            # Every address has every kind.
            kind = kinds[at // len(addresses) % len(kinds)]
            connection = connect_from(addresses[at % len(addresses)], server)
            start = KINDS[kind][0]
            send(connection, self.large * UNREAD_ANSWERS if start is None else start)
            self.open[connection] = kind

    def drip(self):
        """Sends one more byte on each connection whose kind does so."""
        for connection, kind in self.open.items():
            if more := KINDS[kind][1]:
                send(connection, more)

    @contextlib.contextmanager
    def dripping(self):
        """Drips on each connection once a second, evenly, from another process: Python's threads keep each other waiting."""
        process = multiprocessing.get_context("fork").Process(target=self._drip_evenly, daemon=True)
        process.start()
        try:
            yield
        finally:
            process.kill()
            process.join()

    def _drip_evenly(self):
        dripping = [(connection, KINDS[kind][1]) for connection, kind in self.open.items() if KINDS[kind][1]]
        for slice_ in itertools.cycle(range(SLICES)):
            for connection, more in dripping[slice_::SLICES]:
                send(connection, more)
            time.sleep(1 / SLICES)

    def close(self):
        for connection in self.open:
            connection.close()
        self.open = {}


def counts(server):
    """The connections that /metrics tells: open ones by "open", others by how they ended."""
    text = server.request("GET", "/metrics", {"Authorization": f"Bearer {server.token}"}).body.decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("tintype_connections"):
            name, value = line.removeprefix("tintype_connections").rsplit(" ", 1)
            found[name.lstrip("_").replace("_total", "") or "open"] = int(value)
    return found
