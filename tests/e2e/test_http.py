"""Hostile input on the port: slow senders, and requests that name no host; and the log of it."""

import base64
import hashlib
import signal
import urllib.parse
import zlib

import pytest

import pictures
import raw_http
from raw_http import answer, ask, connect, head, signed
from tintype import QUICK_RECIPE, wait_until

FORM = "application/x-www-form-urlencoded"


def memory(server, name):
    """A figure of /proc/PID/status, in KiB."""
    for line in open(f"/proc/{server.process.pid}/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise AssertionError(name)


def login_form(server):
    body = b"token=" + b"x" * 16_000
    return "POST", "/admin/login", [("Host", "localhost"), ("Content-Type", FORM), ("Content-Length", len(body))], body, 401


def login_form_of_another_length(server):
    body = b"token=" + b"x" * 30_000
    return "POST", "/admin/login", [("Host", "localhost"), ("Content-Type", FORM), ("Content-Length", len(body))], body, 413


def json_body(server):
    body = b'{"key": "a.jpg"' + b" " * 16_000 + b"}"
    headers = [
        ("Host", "localhost"),
        ("Authorization", f"Bearer {server.token}"),
        ("Content-Type", "application/json"),
        ("Content-Length", len(body)),
    ]
    return "POST", "/api/v1/uploads", headers, body, 200


def chunked_json_body(server):
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"key": "a.jpg"' + b" " * 4_000 + b"}") + b"0\r\n\r\n"
    headers = [
        ("Host", "localhost"),
        ("Authorization", f"Bearer {server.token}"),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ]
    return "POST", "/api/v1/uploads", headers, body, 200


def presigned_put(server):
    body = b"x" * 24_000
    url = server.s3().generate_presigned_url("put_object", {"Bucket": "raw", "Key": "one by one"})
    target = url.removeprefix(server.url)
    return "PUT", target, [("Host", f"{server.host}:{server.port}"), ("Content-Length", len(body))], body, 200


def signed_put(server):
    body = b"x" * 24_000
    return "PUT", "/raw/signed", signed(server, "PUT", "/raw/signed", body), body, 200


def aws_chunked_put(server):
    data = b"x" * 4_000
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in data)
    checksum = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    body += f"0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
    headers = {
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "Content-Encoding": "aws-chunked",
    }
    return "PUT", "/raw/chunked", signed(server, "PUT", "/raw/chunked", body, headers, in_chunks=True), body, 200


BOUNDARY = "b" * 30


def part_of_form(name, value):
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


def form_to_bucket(server, body, status):
    headers = [
        ("Host", f"{server.host}:{server.port}"),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
        ("Content-Length", len(body)),
    ]
    return "POST", "/raw", headers, body, status


def form_upload(server):
    form = server.s3().generate_presigned_post("raw", "form.jpg", Conditions=[["content-length-range", 1, 100_000]])
    parts = [part_of_form(name, value.encode()) for name, value in form["fields"].items()]
    body = b"\r\n".join([*parts, part_of_form("file", b"x" * 24_000), f"--{BOUNDARY}--\r\n".encode()])
    return form_to_bucket(server, body, 204)


def form_without_end(server):
    """A stranger's: fields that are too long, and no signature."""
    return form_to_bucket(server, part_of_form("key", b"x" * 70_000), 400)


def xml_body(server):
    keys = "".join(f"<Object><Key>{number:020}</Key></Object>" for number in range(400))
    body = f"<Delete>{keys}</Delete>".encode()
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    return "POST", "/raw?delete", signed(server, "POST", "/raw?delete", body, headers), body, 200


BODIES = [
    login_form,
    login_form_of_another_length,
    json_body,
    chunked_json_body,
    presigned_put,
    signed_put,
    aws_chunked_put,
    form_upload,
    form_without_end,
    xml_body,
]


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_bodies_in_single_bytes_take_little_memory(quick_server, kind):
    server = quick_server
    method, target, headers, body, expected = kind(server)
    before = memory(server, "VmRSS")
    open(f"/proc/{server.process.pid}/clear_refs", "w").write("5")
    connections = [connect(server) for _ in range(10)]
    for connection in connections:
        connection.sendall(head(method, target, [*headers, ("Connection", "close")]))
    open_ones = list(connections)
    for at in range(len(body)):
        for connection in list(open_ones):
            try:
                connection.send(body[at : at + 1])
            except (BrokenPipeError, ConnectionResetError):
                # It was answered before its end.
                open_ones.remove(connection)
    answers = [answer(connection) for connection in connections]
    grown = memory(server, "VmHWM") - before
    for status, text in answers:
        assert status == expected or (status is None and expected in (400, 413)), text[:1000]
    assert grown < 16 << 10, f"{grown} KiB for {len(connections)} bodies of {len(body)} bytes"
    for connection in connections:
        connection.close()


DRIPS = {
    "nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: local",
    "half a form": b"POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    b"Content-Type: " + FORM.encode() + b"\r\n\r\ntoken=",
    "half an upload": None,
    "half a form with a file": b"POST /raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n",
}


@pytest.mark.parametrize("kind", DRIPS)
def test_connections_that_drip_keep_nobody_out(new_server, kind):
    """Nothing but the need for room ends them: they may take an hour, and 260 connections take all places twice."""
    server = new_server(
        config="[http]\nconnections = 130\nconnections_per_address = 100\ntimeout_seconds = 3600\n" + QUICK_RECIPE
    ).start()
    request = DRIPS[kind]
    if request is None:
        method, target, headers, body, _ = presigned_put(server)
        request = head(method, target, headers) + body[:100]
    drips = []
    for _ in range(260):
        connection = connect(server)
        connection.sendall(request)
        drips.append(connection)
    for round in range(5):
        for connection in drips:
            try:
                connection.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert server.get("/healthz").status == 200, round
    for connection in drips:
        connection.close()


def test_a_request_names_its_host_wherever_it_goes(quick_server):
    server = quick_server
    token = ("Authorization", f"Bearer {server.token}")
    url = server.s3().generate_presigned_url("list_objects_v2", {"Bucket": "raw"})
    own = f"{server.host}:{server.port}"
    targets = [
        ("/", []),
        ("/healthz", []),
        ("/img/a/small", []),
        ("/v/a/0/small", []),
        ("/nothing", []),
        ("/metrics", [token]),
        ("/api/v1/stats", [token]),
        ("/admin", [token]),
        ("/raw", []),
        ("/raw/a", [pair for pair in signed(server, "GET", "/raw/a") if pair[0] != "Host"]),
        (url.removeprefix(server.url), []),
    ]
    for target, headers in targets:
        for hosts in [[], ["a", "a"], [own, own], [own, "a"], [""], ["a b"], ["a/b"], ["a@b"], ["a:b"], ["[::1"], ["a:99999"]]:
            status, text = ask(server, "GET", target, [*headers, *(("Host", host) for host in hosts)])
            assert status == 400, (target, hosts, text)
        status, text = ask(server, "GET", target, [*headers, ("Host", own)])
        assert status not in (400, None), (target, text)


def test_an_absolute_target_decides_the_authority(quick_server):
    server = quick_server
    own = f"{server.host}:{server.port}"
    token = ("Authorization", f"Bearer {server.token}")
    for target, host, expected in [
        (f"http://{own}/api/v1/stats", "evil.example", 200),
        ("http://evil.example/api/v1/stats", own, 421),
        ("http://evil.example/healthz", own, 200),
        (f"http://user@{own}/healthz", own, 400),
        (f"ftp://{own}/healthz", own, 400),
    ]:
        status, text = ask(server, "GET", target, [token, ("Host", host)])
        assert status == expected, (target, host, text)
    headers = [pair for pair in signed(server, "GET", "/") if pair[0] != "Host"]
    status, text = ask(server, "GET", f"http://{own}/", [*headers, ("Host", "other.example")])
    assert status == 200 and b"ListAllMyBucketsResult" in text, "the signature is of the target's authority"
    status, text = ask(server, "GET", "http://other.example/", [*headers, ("Host", own)])
    assert status == 403, text
    server.put("absolute.jpg", pictures.small_jpeg(1))
    server.wait_ready("absolute.jpg")
    shown = ask(server, "GET", f"http://{own}/api/v1/image?key=absolute.jpg", [token, ("Host", "other.example")])[1]
    assert f"http://{own}/img/absolute.jpg/small".encode() in shown and b"other.example" not in shown


def test_the_root_carries_what_everything_carries(quick_server):
    answer = quick_server.get("/")
    assert (answer.status, answer.headers["Location"]) == (307, "/admin")
    for name in ["Cache-Control", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"]:
        assert answer.headers[name] is not None, name


def test_bodies_that_are_cut_off_or_of_another_type_are_told_apart(quick_server):
    token = {"Authorization": f"Bearer {quick_server.token}"}
    for path, kind, body, status in [
        ("/api/v1/uploads", "application/json", b'{"key": "a.j', 400),
        ("/api/v1/uploads", "application/json", b"", 400),
        ("/api/v1/uploads", "text/plain", b'{"key": "a.jpg"}', 415),
        ("/api/v1/uploads", "application/json; charset=utf-8", b'{"key": "a.jpg"}', 200),
        ("/admin/login", FORM, b"tok", 400),
        ("/admin/login", "application/json", b'{"token": "a"}', 415),
        ("/admin/login", "multipart/form-data; boundary=b", b"--b--", 415),
    ]:
        answer = quick_server.request("POST", path, {**token, "Content-Type": kind}, body)
        assert answer.status == status, (path, kind, body, answer.body)
        if path.startswith("/admin"):
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_body_whose_sender_goes_away_is_not_taken_for_whole(quick_server):
    for path, kind in [("/api/v1/uploads", "application/json"), ("/admin/login", FORM)]:
        headers = [
            ("Host", "localhost"),
            ("Authorization", f"Bearer {quick_server.token}"),
            ("Content-Type", kind),
            ("Content-Length", "1000"),
        ]
        with connect(quick_server) as connection:
            connection.sendall(head("POST", path, headers) + b'{"key": "a.jpg"}')
            connection.shutdown(raw_http.socket.SHUT_WR)
            status, text = answer(connection)
        assert status in (400, None), text


def test_refusals_are_logged_without_secrets(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    secret = "hush-" * 8
    server.request("GET", "/api/v1/stats", {"Authorization": f"Bearer {secret}"})
    server.request("GET", "/api/v1/stats", {"Cookie": f"tintype_session={secret}"})
    server.request("POST", "/admin/login", {"Content-Type": FORM}, f"token={secret}")
    server.request("POST", "/admin/logout", {"Origin": "https://evil.example"})
    server.request("GET", "/api/v1/stats", {"Host": "rebound.example"})
    wrong = server.s3()
    wrong._request_signer._credentials.secret_key = secret
    with pytest.raises(wrong.exceptions.ClientError):
        wrong.list_buckets()
    url = wrong.generate_presigned_url("get_object", {"Bucket": "raw", "Key": "a"})
    assert server.get(url.removeprefix(server.url)).status == 403
    unknown = urllib.parse.urlsplit(url)._replace(netloc="", scheme="").geturl().replace(server.access_key, "AKIDNOBODY")
    assert server.get(unknown).status == 403
    form = wrong.generate_presigned_post("raw", "a")["fields"]
    form["x-amz-credential"] = form["x-amz-credential"].replace(server.access_key, "AKIDOFAFORM")
    body = b"\r\n".join([*(part_of_form(name, value.encode()) for name, value in form.items()), part_of_form("file", b"")])
    method, path, headers, body, _ = form_to_bucket(server, body, 403)
    assert server.request(method, path, dict(headers), body).status == 403
    assert server.stop() == 0
    log = server.log(lines=1000)
    for reason in [
        "the bearer token is another one",
        "the session is not open",
        "the login has another token",
        "the write comes from another origin",
        "the Host is not one of this server's",
        "rebound.example",
        "https://evil.example",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AKIDNOBODY",
        "AKIDOFAFORM",
        server.access_key,
        "127.0.0.1",
    ]:
        assert reason in log, f"{reason} is not in\n{log}"
    for hidden in [secret, server.token, server.secret_key, "Signature="]:
        assert hidden not in log, f"{hidden!r} is in\n{log}"


def test_a_hang_up_does_not_end_the_server(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "SIGHUP" in server.log(), "the signal was seen", log=server.log)
    assert server.get("/healthz").status == 200
    assert server.stop() == 0
