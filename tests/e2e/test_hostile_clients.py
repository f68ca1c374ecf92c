"""Clients that mean harm: requests that two servers would read differently, other protocols, floods and slowness."""

import re

import pytest

import pictures
from raw_http import answer, connect
from slow_clients import KINDS, SlowClients, allow_open_files, connect_from, counts
from tintype import CHROME, QUICK_RECIPE, wait_until

HOST = b"Host: localhost\r\n"
FORM = HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /admin/login HTTP/1.1\r\n" + FORM
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
# A request of its own only where the server takes the one before it for finished.
NEXT = b"GET /img/second/small HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# The server answers these with this status and closes; it does not look at what follows.
REFUSED = {
    "two lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
    "a list of lengths": (400, POST + b"Content-Length: 5, 5\r\n\r\n12345"),
    "a signed length": (400, POST + b"Content-Length: +5\r\n\r\n12345"),
    "a negative length": (400, POST + b"Content-Length: -5\r\n\r\n12345"),
    "a hexadecimal length": (400, POST + b"Content-Length: 0x5\r\n\r\n12345"),
    "a length beyond 64 bits": (400, POST + b"Content-Length: 18446744073709551621\r\n\r\n12345"),
    "an empty length": (400, POST + b"Content-Length: \r\n\r\n12345"),
    "a folded header": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "a folded coding": (400, POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    "a space before the colon": (400, POST + b"Content-Length : 5\r\n\r\n12345"),
    "a tab before the colon": (400, POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    "a space before the first header": (400, b"POST /admin/login HTTP/1.1\r\n Content-Length: 5\r\n" + FORM + b"\r\n12345"),
    "a control character in the coding": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "an unknown coding": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked before the last coding": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "identity, chunked": (501, POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    "gzip, chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked twice": (501, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked in HTTP/1.0": (
        400,
        b"POST /admin/login HTTP/1.0\r\nConnection: keep-alive\r\n" + FORM + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "a bare CR in a value": (400, POST + b"X: a\rContent-Length: 5\r\n\r\n"),
    "a NUL in a value": (400, GET + b"X: a\0b\r\n\r\n"),
    "a line feed in a chunk extension": (400, CHUNKED + b"5;a\n12345\r\n0\r\n\r\n"),
    "a chunk size that ends in a line feed": (400, CHUNKED + b"5\n12345\r\n0\r\n\r\n"),
    "a chunk size with 0x": (400, CHUNKED + b"0x5\r\n12345\r\n0\r\n\r\n"),
    "a negative chunk size": (400, CHUNKED + b"-5\r\n12345\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": (400, CHUNKED + b"10000000000000005\r\n12345\r\n0\r\n\r\n"),
    "a chunk longer than its size": (400, CHUNKED + b"5\r\n12345XX0\r\n\r\n"),
    "a chunk extension without end": (400, CHUNKED + b"5;" + b"a" * 40_000 + b"\r\n12345\r\n0\r\n\r\n"),
    "trailers without end": (400, CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"),
    # RFC 9112, section 6.1: the length is ignored, and the connection is closed.
    "a length and a coding": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a coding and a length": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /healthz\r\n"),
    "HTTP/1.2": (400, b"GET /healthz HTTP/1.2\r\n" + HOST + b"\r\n"),
    "HTTP/3.0": (400, b"GET /healthz HTTP/3.0\r\n" + HOST + b"\r\n"),
    "two spaces in the request line": (400, b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "TLS": (400, bytes.fromhex("16030100c8010000c40303") + b"a" * 189),
    "a head of 200 kB": (431, GET + b"X: " + b"a" * 200_000 + b"\r\n\r\n"),
    "a target of 200 kB": (431, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "600 headers": (431, GET + b"X: a\r\n" * 600 + b"\r\n"),
    # Without a frame of its own that a client of HTTP/2 understands.
    "the preface of HTTP/2": (None, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")),
}

# The server reads the request like everybody else, and then the next one.
READ_WHOLE = {
    "the same length twice": (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345"),
    "a chunk extension": (400, CHUNKED + b"5;a=b\r\n12345\r\n0\r\n\r\n"),
    "trailers": (400, CHUNKED + b"5\r\n12345\r\n0\r\nContent-Length: 70\r\n\r\n"),
    "a GET with a body": (200, GET + b"Content-Length: 5\r\n\r\n12345"),
    "an upgrade to HTTP/2": (
        200,
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    ),
    # RFC 9112, section 2.2: a line feed alone ends a line.
    "lines that end in a line feed": (200, b"GET /healthz HTTP/1.1\nHost: localhost\n\n"),
    "empty lines before the request": (200, b"\r\n\r\n" + GET + b"\r\n"),
    "another method": (405, b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
}


def statuses(server, request):
    with connect(server) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            # It was answered and closed before its end.
            pass
        _, text = answer(connection)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text) if status != b"100"], text


@pytest.mark.parametrize("shape", REFUSED)
def test_requests_that_others_could_read_differently_end_their_connection(quick_server, shape):
    expected, request = REFUSED[shape]
    found, text = statuses(quick_server, request + NEXT)
    # Where bytes are left over, the reset can be quicker than the answer.
    assert found in ([expected], []) if expected else found == [], text
    assert b"second" not in text
    assert quick_server.get("/healthz").status == 200


@pytest.mark.parametrize("shape", READ_WHOLE)
def test_requests_that_all_read_alike_are_followed_by_the_next(quick_server, shape):
    expected, request = READ_WHOLE[shape]
    found, text = statuses(quick_server, request + NEXT)
    assert found == [expected, 404], text


def test_other_protocols_are_counted(quick_server):
    before = counts(quick_server)['closed{reason="malformed"}']
    for shape in ["the preface of HTTP/2", "TLS", "two lengths"]:
        statuses(quick_server, REFUSED[shape][1])
    wait_until(
        lambda: counts(quick_server)['closed{reason="malformed"}'] >= before + 3, "three more", quick_server.log
    )


def test_an_upload_whose_length_and_coding_disagree_is_read_once(quick_server):
    """The bytes behind the body are nobody's request, although they are one with a valid signature."""
    inner = quick_server.s3().generate_presigned_url("delete_object", {"Bucket": "raw", "Key": "kept.jpg"})
    quick_server.put("kept.jpg", pictures.small_jpeg(1))
    target = inner.removeprefix(quick_server.url).encode()
    host = f"Host: {quick_server.host}:{quick_server.port}\r\n".encode()
    smuggled = b"DELETE " + target + b" HTTP/1.1\r\n" + host + b"\r\n"
    for fields in [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (5 + len(smuggled)),
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % (5 + len(smuggled)),
    ]:
        found, text = statuses(quick_server, POST + fields + b"\r\n0\r\n\r\n" + smuggled)
        assert found == [400], text
        assert quick_server.s3().head_object(Bucket="raw", Key="kept.jpg")["ContentLength"] > 0
    # The same request alone does delete.
    found, text = statuses(quick_server, smuggled.replace(host, host + b"Connection: close\r\n"))
    assert found == [204], text


def resident(server, name="VmRSS"):
    """A figure of /proc/PID/status, in KiB."""
    for line in open(f"/proc/{server.process.pid}/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise AssertionError(name)


def peak_of(server, action):
    """KiB that the server's memory grew by at most during the action."""
    before = resident(server)
    open(f"/proc/{server.process.pid}/clear_refs", "w").write("5")
    action()
    return resident(server, "VmHWM") - before


def test_pipelined_requests_that_nobody_reads_the_answers_of_take_little_memory(quick_server):
    """The server stops to read when its answers are not taken."""
    server = quick_server
    server.put("pipelined.jpg", pictures.small_jpeg(2))
    server.wait_ready("pipelined.jpg")
    request = b"GET /img/pipelined.jpg/small HTTP/1.1\r\n" + HOST + b"\r\n"
    connections = [connect_from("127.0.0.1", server) for _ in range(50)]

    def flood():
        sent = 0
        for connection in connections:
            while True:
                try:
                    sent += connection.send(request * 1000)
                except BlockingIOError:
                    break
        assert sent > 50 * len(request) * 1000
        assert server.get("/img/pipelined.jpg/small", CHROME).status == 200

    grown = peak_of(server, flood)
    for connection in connections:
        connection.close()
    assert grown < 50 * 400, f"{grown} KiB for 50 connections"


def test_the_kernel_keeps_few_bytes_for_a_client_that_does_not_read(new_server):
    """Everything that the server wrote before it gave up is still sent: that is what it kept."""
    server = serve_with_slow_clients(new_server, "[http]\ntimeout_seconds = 2\n")
    request = b"GET /img/honest.jpg/small HTTP/1.1\r\n" + HOST + b"\r\n"
    connection = connect_from("127.0.0.1", server)
    connection.setblocking(True)
    before = counts(server)['closed{reason="timeout"}']
    connection.sendall(request * 20_000)
    wait_until(lambda: counts(server)['closed{reason="timeout"}'] > before, "the server gives up", server.log)
    kept = len(answer(connection)[1])
    connection.close()
    assert 0 < kept < 1 << 20, f"{kept} bytes"


def test_pipelined_requests_are_answered_in_order(quick_server):
    paths = [b"/img/a/small", b"/healthz", b"/img/b/small", b"/healthz"] * 250
    requests = b"".join(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n" for path in paths)
    found, _ = statuses(quick_server, requests + NEXT)
    assert found == [404, 200] * 500 + [404]


def test_heads_that_are_never_finished_take_little_memory(quick_server):
    connections = []

    def fill():
        for _ in range(400):
            connections.append(connect(quick_server))
            connections[-1].sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 60_000)
        wait_until(lambda: counts(quick_server)["open"] >= 400, "all are open", quick_server.log)

    grown = peak_of(quick_server, fill)
    for connection in connections:
        connection.close()
    assert grown < 400 * 160, f"{grown} KiB for 400 heads of 60 kB"


ADDRESSES = [f"127.0.0.{last}" for last in range(1, 9)]
SLOW = 2000


def serve_with_slow_clients(new_server, config):
    allow_open_files(16_384)
    server = new_server(config=config + QUICK_RECIPE).start()
    server.put("honest.jpg", pictures.small_jpeg(3))
    server.wait_ready("honest.jpg")
    return server


def test_2000_slow_connections_keep_nobody_from_being_served(new_server):
    """As many as there may be, and nobody is closed for being slow."""
    server = serve_with_slow_clients(
        new_server, "[http]\nconnections = 2048\nconnections_per_address = 256\ntimeout_seconds = 3600\n"
    )
    slow = SlowClients(server, SLOW, ADDRESSES, "/img/honest.jpg/small")
    wait_until(lambda: counts(server)["open"] >= SLOW, "all are open", server.log)
    for number in range(20):
        slow.drip()
        for path, expected in [("/img/honest.jpg/small", 200), ("/healthz", 200), ("/img/nobody/small", 404)]:
            assert server.get(path, CHROME).status == expected
        server.put(f"{number}.jpg", pictures.small_jpeg(number))
    assert counts(server)["open"] >= SLOW
    # Twice as many from one address close each other, and nobody else's.
    before = counts(server)
    more = SlowClients(server, 600, ["127.0.0.99"], "/img/honest.jpg/small")
    wait_until(
        lambda: counts(server)['closed{reason="room"}'] >= before['closed{reason="room"}'] + 344, "closed", server.log
    )
    assert server.get("/img/honest.jpg/small", CHROME).status == 200
    assert server.wait_ready("19.jpg")
    more.close()
    slow.close()


def test_slow_connections_of_every_kind_are_closed_in_time(new_server):
    server = serve_with_slow_clients(new_server, "[http]\ntimeout_seconds = 1\n")
    large = "/img/honest.jpg/small"
    number = 10 * len(KINDS)
    before = counts(server)['closed{reason="timeout"}']
    slow = SlowClients(server, number, ADDRESSES[:1], large)

    def all_closed():
        slow.drip()
        return counts(server)['closed{reason="timeout"}'] >= before + number

    wait_until(all_closed, "all are closed, because time was up", server.log)
    assert server.get(large, CHROME).status == 200
    slow.close()
