"""A receiver of webhooks on a real socket, which does what a test says."""

import asyncio
import json
import threading
from typing import Any, Self

Answer = bytes | None
"""None: the connection stays open, and nothing comes."""
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Receiver:
    """A server that answers each request as the next of `answers` says, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        """Begins at once, on a thread."""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._answers = answers
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook?token=hidden"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What it got."""
        return [json.loads(body) for _, body in self.requests]

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """It ends."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append((headers, body))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()
