"""Requests as bytes on a socket: in single bytes, half, or in a form that no client library sends."""

import re
import socket

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from tintype import HANG


def connect(server, timeout=HANG):
    connection = socket.create_connection((server.host, server.port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def head(method, target, headers):
    """The head of a request; `headers` are pairs, sent as they are."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection):
    """Status and everything that follows it, until the server closes."""
    text = b""
    while True:
        try:
            more = connection.recv(1 << 16)
        except ConnectionResetError:
            break
        if not more:
            break
        text += more
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", text)
    return (int(match[1]) if match else None), text


def ask(server, method, target, headers, body=b""):
    with connect(server) as connection:
        connection.sendall(head(method, target, [*headers, ("Connection", "close")]) + body)
        return answer(connection)


def signed(server, method, path, body=b"", headers=None, in_chunks=False):
    """The headers of a request that is signed with Signature Version 4, as pairs; its body is aws-chunked or plain."""
    request = botocore.awsrequest.AWSRequest(method, server.url + path, dict(headers or {}), body)
    if in_chunks:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    keys = botocore.credentials.Credentials(server.access_key, server.secret_key)
    botocore.auth.S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    prepared = dict(request.prepare().headers.items())
    prepared.setdefault("Host", f"{server.host}:{server.port}")
    text = {name: value.decode() if isinstance(value, bytes) else value for name, value in prepared.items()}
    text["Content-Length"] = str(len(body))
    return list(text.items())
