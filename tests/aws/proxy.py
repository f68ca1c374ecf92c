"""A reverse proxy in front of MiniStack that writes down every call and breaks some on command.

It stands where TLS ends: to MiniStack, requests that come through it came over HTTPS (`X-Forwarded-Proto`), those that
go to MiniStack's own port did not. `Host` stays as the client sent it, because SigV4 signs it.
"""

import asyncio
import dataclasses
import ssl
import threading

import aiohttp
import yarl
from aiohttp import web

import calls
import faults
import processes

# Belong to one connection, or are written anew for the next one.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length", "te", "upgrade"}


@dataclasses.dataclass(frozen=True)
class Door:
    """One address that the proxy listens on."""

    name: str
    port: int
    # The kind of its clients: calls of "functions" are recorded and broken, those of "people" pass.
    recorded: bool = False
    # The Host that MiniStack sees instead of the client's: how a browser reaches a distribution by a plain address.
    host: str | None = None
    # "http" shows MiniStack a client that does not use TLS.
    scheme: str = "https"


class Proxy:
    """Runs in a thread of its own. `record` grows while functions run; `faults` can be changed at any time."""

    def __init__(self, upstream, tls=None, ca=None):
        """`tls` is a server's ssl.SSLContext, `ca` a file with the certificate authority of an https upstream."""
        self.upstream = upstream
        self.tls = tls
        self.ca = ca
        self.record = []
        # Calls that calls.py cannot read, in words.
        self.unexpected = []
        self.faults = faults.Plan()
        self.doors = {}
        self._loop = asyncio.new_event_loop()
        self._runners = []
        self._session = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._wait(self._open_session())

    def _wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(processes.HANG)

    async def _open_session(self):
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=verify if verify else True),
            timeout=aiohttp.ClientTimeout(total=processes.HANG),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )

    def open(self, door):
        """Starts listening; the door's URL is returned."""
        self._wait(self._listen(door))
        self.doors[door.name] = door
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{door.port}"

    async def _listen(self, door):
        async def answer(request):
            return await self._answer(door, request)

        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", door.port, ssl_context=self.tls).start()
        self._runners.append(runner)

    def close(self):
        async def end():
            for runner in self._runners:
                await runner.cleanup()
            await self._session.close()

        self._wait(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _answer(self, door, request):
        if request.headers.get("Expect", "").lower() == "100-continue":
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.content.read()
        # A browser asks before it uses a presigned URL; nobody signs that.
        if not door.recorded or request.method == "OPTIONS":
            return await self._forward(door, request, body)

        try:
            call = calls.Call.of(request.method, request.path_qs, request.headers, body)
        except (AssertionError, KeyError, ValueError) as error:
            self.unexpected.append(f"{request.method} {request.path_qs}: {error}")
            return await self._forward(door, request, body)
        fault = self.faults.next(call)
        if fault is not None and not fault.applied:
            call.fault = fault.name
            call.status = fault.status
            self.record.append(call)
            return fault.answer(request)
        response = await self._forward(door, request, body)
        call.status = response.status
        self.record.append(call)
        if fault is not None:
            call.fault = fault.name
            request.transport.abort()
        return response

    async def _forward(self, door, request, body):
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        if door.host is not None:
            headers = [(name, value) for name, value in headers if name.lower() != "host"]
            headers.append(("Host", door.host))
        headers = [(name, value) for name, value in headers if name.lower() != "x-forwarded-proto"]
        headers.append(("X-Forwarded-Proto", door.scheme))
        # The path as it was signed: neither normalised nor encoded again.
        url = yarl.URL(self.upstream + request.path_qs, encoded=True)
        # An idle connection may be closed by the other side just as it is used again.
        for last in (False, True):
            try:
                async with self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=body if body or request.method in ("PUT", "POST") else None,
                    allow_redirects=False,
                ) as response:
                    content = await response.read()
                    return self._copy(request, response, content)
            except aiohttp.ServerDisconnectedError:
                if last:
                    raise

    @staticmethod
    def _copy(request, response, content):
        copy = web.Response(status=response.status, reason=response.reason)
        for name, value in response.headers.items():
            if name.lower() not in HOP_BY_HOP and name.lower() != "date":
                copy.headers.add(name, value)
        if "Content-Type" not in response.headers:
            copy.headers.popall("Content-Type", None)
        if request.method == "HEAD" or response.status == 304:
            if "Content-Length" in response.headers:
                copy.headers["Content-Length"] = response.headers["Content-Length"]
        else:
            copy.body = content
        return copy
