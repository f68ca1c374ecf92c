"""Signals to the server, and what its log tells of requests that it refuses."""

import signal

import botocore.exceptions
import pytest

import pictures
from tintype import QUICK_RECIPE, wait_until


def test_a_terminal_that_closes_does_not_end_the_server(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    pid = server.process.pid
    server.put("a.jpg", pictures.small_jpeg(1))
    for count in (1, 2, 3):
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.log(10_000).count("SIGHUP") >= count, "the signal is logged", server.log)
        server.put(f"{count}.jpg", pictures.small_jpeg(count))
        server.wait_ready(f"{count}.jpg")
    server.wait_ready("a.jpg")
    assert server.is_running() and server.process.pid == pid
    assert server.stop() == 0


def lines(server, *words):
    found = [line for line in server.log(10_000).splitlines() if "refused a request" in line]
    return [line for line in found if all(word in line for word in words)]


def test_refusals_are_logged_with_their_reason_and_without_a_secret(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    right = server.secret_key
    server.secret_key = "wrong" + right[5:]
    client = server.s3()
    with pytest.raises(botocore.exceptions.ClientError):
        client.put_object(Bucket="raw", Key="a.jpg", Body=b"x")
    assert lines(server, "s3", "SignatureDoesNotMatch", server.access_key)

    url = client.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": "a.jpg"})
    assert server.get(url[len(server.url) :]).status == 403
    assert len(lines(server, "s3", "SignatureDoesNotMatch", server.access_key)) == 2

    form = client.generate_presigned_post("raw", "a.jpg")
    boundary = "----boundary"
    fields = {**form["fields"], "file": "x"}
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = server.request("POST", "/raw", headers, f"{body}--{boundary}--\r\n")
    assert answer.status == 403, answer
    assert len(lines(server, "s3", "SignatureDoesNotMatch")) == 3

    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PUT"}
    assert server.request("OPTIONS", "/raw/a.jpg", headers).status == 403
    assert lines(server, "s3", "https://elsewhere.example")

    assert server.api("GET", "/stats", token="no-such-token").status == 401
    assert lines(server, "api")
    headers = {"Authorization": f"Bearer {server.token}", "Origin": "https://elsewhere.example"}
    assert server.request("DELETE", "/api/v1/image?key=a.jpg", headers).status == 403
    assert lines(server, "api", "https://elsewhere.example")

    log = server.log(10_000)
    for secret in (right, server.secret_key, server.token, "no-such-token"):
        assert secret not in log
