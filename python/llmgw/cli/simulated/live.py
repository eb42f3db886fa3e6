"""`python -m llmgw.cli.simulated.live`: the demo's team goes on asking, about once a second.

It reads one line of JSON, `{"url": …, "tokens": {name: text}}`, and ends with its standard input. It asks
little, and nobody reads the answers: it is there so that the console's live numbers move.
"""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

import httpx

from llmgw.cli.simulated.team import BATCH, CRAWLER, INTERN, NOTEBOOK
from llmgw.cli.simulated.work import WORKS, Work

_INTERVAL_S: Final = 1.0
_AT_ONCE: Final = 8
"""Requests that run; with more, a turn is left out."""
_TIMEOUT: Final = httpx.Timeout(5.0, read=60.0)
_OUT_OF_USE: Final = frozenset({INTERN, CRAWLER, BATCH, NOTEBOOK})
"""Blocked, revoked, out of money; and one whose secret was rotated."""
_BAD_SHARE: Final = 0.03
"""Of the requests that the provider refuses."""
PATHS: Final = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
"""By API."""
# Chinese questions have Chinese punctuation.
_QUESTIONS: Final = (
    "How do I reset my password?",
    "订单什么时候能到？",  # noqa: RUF001
    "Summarise this ticket in one sentence.",
    "为什么这条查询这么慢？",  # noqa: RUF001
    "Which of the two plans has an invoice?",
    "把这段话翻译成英文。",
)


class Client:
    """Asks as the demo's keys do."""

    def __init__(self, http: httpx.AsyncClient, tokens: Mapping[str, str], rng: random.Random) -> None:
        """`tokens`: texts of keys by name."""
        self._http = http
        self._tokens = tokens
        self._rng = rng
        self._works = [work for work in WORKS if work.key in tokens and work.key not in _OUT_OF_USE]

    async def ask_once(self) -> None:
        """One request, to the end of its answer. What goes wrong is for the gateway's ledger to tell."""
        rng = self._rng
        [work] = rng.choices(self._works, [work.requests for work in self._works])
        api, body = self.request(work)
        headers = {"authorization": f"Bearer {self._tokens[work.key]}"}
        if work.users:
            headers["x-llmgw-user"] = rng.choice(work.users)
        try:
            await self._http.post(PATHS[api], json=body, headers=headers)
        except httpx.HTTPError:
            return

    def request(self, work: Work) -> tuple[str, dict[str, Any]]:
        """Its API and body."""
        rng = self._rng
        [model] = rng.choices([*work.models], [*work.models.values()])
        question = rng.choice(_QUESTIONS)
        body: dict[str, Any] = {"model": model, "stream": rng.random() < work.streams}
        if work.api == "responses":
            body["input"] = question
        elif work.api == "completions":
            body["prompt"] = question
        else:
            body["messages"] = [{"role": "user", "content": question}]
        if work.api in {"chat", "messages"}:
            [asked] = rng.choices([*work.asks], [*work.asks.values()])
            if asked is not None:
                body["llmgw_thinking"] = asked
        if work.api == "messages":
            body |= {"max_tokens": 2048, "metadata": {"user_id": rng.choice(work.users)}}
        if rng.random() < _BAD_SHARE:
            body["simulate"] = {"status": 400}
        return work.api, body


async def run(url: str, tokens: Mapping[str, str], ended: asyncio.Event) -> None:
    """Ask until `ended` is set."""
    rng = random.Random()  # noqa: S311  (a draw, not a secret)
    running: set[asyncio.Task[None]] = set()
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, trust_env=False) as http:
        client = Client(http, tokens, rng)
        while not ended.is_set():
            if len(running) < _AT_ONCE:
                task = asyncio.create_task(client.ask_once())
                running.add(task)
                task.add_done_callback(running.discard)
            try:
                async with asyncio.timeout(rng.expovariate(1 / _INTERVAL_S)):
                    await ended.wait()
            except TimeoutError:
                continue
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _main() -> None:
    told = json.loads(sys.stdin.readline())
    ended, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await run(told["url"], told["tokens"], ended)


if __name__ == "__main__":
    asyncio.run(_main())
