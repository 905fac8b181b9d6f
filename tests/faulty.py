"""A proxy on 127.0.0.1 that stands before a storage server and breaks chosen answers, as networks and busy services do.

It is a process of its own: some calls of delta-rs hold Python's lock while they wait for an answer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from yarl import URL

from tests.servers import free_port

HOP = {"connection", "keep-alive", "transfer-encoding"}
PLAIN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
OURS = "/_proxy"
START_SECONDS = 20


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose URL contains a word.

    Faults strike in their order where `waits` says so: such a one not before those above it are over.

    `lost`: it is done, and the connection closes without an answer. `failed`: it is done, and the answer is 500.
    `half`: the connection closes while the body comes in. A number: it is not done, and that is the answer, with `Retry-After: 1`.
    """

    method: str
    contains: str
    do: str | int
    times: int = 1
    waits: bool = False
    struck: int = 0

    def strikes(self, request: web.Request) -> bool:
        """Whether it is this request's turn."""
        due = self.struck < self.times and request.method == self.method and self.contains in request.raw_path
        self.struck += due
        return due


@dataclass
class State:
    """What the proxy does and saw; with tokens (each good until its instant), the server behind sees a signature in their place."""

    faults: list[Fault] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    signature: str = ""
    seen: list[str] = field(default_factory=list)

    def due(self, request: web.Request) -> Fault | None:
        """The fault that strikes this request."""
        before = True
        for fault in self.faults:
            if (before or not fault.waits) and fault.strikes(request):
                return fault
            before = before and fault.struck >= fault.times
        return None

    @classmethod
    def read(cls, text: str) -> State:
        """A state from its JSON."""
        given = json.loads(text)
        return cls([Fault(**fault) for fault in given.pop("faults")], **given)


class Handler:
    """The proxy itself."""

    def __init__(self, target: str) -> None:
        self.target, self.state = target, State()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Break the answer or pass it on."""
        if request.path == OURS:
            if request.method == "PUT":
                self.state = State.read(await request.text())
            return web.json_response(asdict(self.state))
        state = self.state
        state.seen.append(f"{request.method} {request.raw_path}")
        fault = state.due(request)
        if fault and fault.do == "half":
            await request.content.readany()
            return self._cut(request)
        body = await request.read()
        if fault and isinstance(fault.do, int):
            return web.Response(status=fault.do, headers={"Retry-After": "1"})
        path, headers = request.raw_path, {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        if state.signature:
            token = headers.pop("Authorization", "").removeprefix("Bearer ")
            if state.tokens.get(token, 0) < time.time():
                return web.Response(status=HTTPStatus.FORBIDDEN, text="<Error><Code>AuthenticationFailed</Code></Error>")
            path += ("&" if "?" in path else "?") + state.signature
        status, answer, received = await self._forward(request.method, path, body, headers)
        if fault and fault.do == "failed":
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return self._cut(request) if fault else web.Response(status=status, body=answer, headers=received)

    async def _forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes | None, dict[str, str]]:
        url = URL(self.target + path, encoded=True)
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(method, url, data=body, headers=headers, skip_auto_headers=PLAIN) as answer,
        ):
            dropped = HOP if method == "HEAD" else {*HOP, "content-length"}
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in dropped}
            return answer.status, None if method == "HEAD" else await answer.read(), kept

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()


async def _serve(target: str, port: int) -> None:
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{rest:.*}", Handler(target).__call__)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


class Proxy:
    """A running proxy, from the test's side."""

    def __init__(self, port: int) -> None:
        self._port, self.url = port, f"http://127.0.0.1:{port}"

    def _call(self, method: str, body: object = None) -> Any:  # noqa: ANN401  any JSON
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, OURS, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def set(self, *faults: Fault, tokens: Mapping[str, float] | None = None, signature: str = "") -> None:
        """From now on these faults, and only those with these tokens pass; what was seen is forgotten."""
        self._call("PUT", asdict(State(list(faults), dict(tokens or {}), signature)))

    def struck(self) -> list[int]:
        """How often each fault struck."""
        return [fault["struck"] for fault in self._call("GET")["faults"]]

    def seen(self) -> list[str]:
        """Every request as `METHOD url`."""
        return list(self._call("GET")["seen"])


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    """A proxy before the server at a URL."""
    proxy = Proxy(port := free_port())
    command = (sys.executable, "-m", "tests.faulty", target, str(port))
    with subprocess.Popen(command, cwd=Path(__file__).parents[1]) as server:
        try:
            end = time.monotonic() + START_SECONDS
            while True:
                try:
                    proxy.set()
                    break
                except OSError:
                    assert server.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield proxy
        finally:
            server.kill()


def count(seen: Iterable[str], word: str) -> int:
    """How many requests contain a word."""
    return sum(word in request for request in seen)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
