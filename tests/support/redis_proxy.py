"""What stands between a client and a Redis: TLS, a slow line, one that breaks, a name that moves."""

import asyncio
import contextlib
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.support.processes import ROOT

CERTIFICATES = ROOT / "tests" / "corpus" / "tls"
"""Of `localhost`, and the authority that has signed it."""
_READ_BYTES = 65_536


def server_tls(*, client_ca: bool = False) -> ssl.SSLContext:
    """The server's side. `client_ca`: clients must show a certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / "ca.pem")
    return context


class RedisProxy:
    """Passes all on to a port of loopback, in a thread of its own. What is set counts for what comes next."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        """Listens at once. `tls`: the server has none itself, so this has it for it."""
        self.target = target
        self.delay_s = 0.0
        """Before each piece of an answer."""
        self.drip_s = 0.0
        """Between the bytes of an answer; 0: they come together."""
        self.cut_after: int | None = None
        """So many bytes of the next answer come, and then the connection breaks."""
        self.accepted = 0
        """Connections so far."""
        self.most = 0
        """Connections at once."""
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def now(self) -> int:
        """Connections that are open."""
        return len(self._open)

    def cut(self) -> None:
        """Break all connections."""
        self._loop.call_soon_threadsafe(self._cut)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)

    async def _stop(self) -> None:
        self._server.close()
        self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Sockets are closed in the loop's next rounds.
        for _ in range(3):
            await asyncio.sleep(0)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._pass_on(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.accepted += 1
        self.most = max(self.most, self.now)
        try:
            with contextlib.suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
                asking = asyncio.create_task(self._ask(reader, there_writer))
                try:
                    await self._answer(there_reader, writer)
                finally:
                    asking.cancel()
                    there_writer.transport.abort()
        finally:
            writer.close()
            self._open.discard(writer)

    async def _ask(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_READ_BYTES):
                there.write(piece)
                await there.drain()
        there.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await there.read(_READ_BYTES):
            await asyncio.sleep(self.delay_s)
            if self.cut_after is not None:
                writer.write(piece[: self.cut_after])
                self.cut_after = None
                await writer.drain()
                return
            for part in [piece] if self.drip_s == 0 else [piece[at : at + 1] for at in range(len(piece))]:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(self.drip_s)
