"""The gateway as a process: its config, its keys, its ledger, and the ways to talk to it."""

import json
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from llmgw.access.keys import create_key, revoke_key, update_key
from llmgw.access.settings import BudgetSetting, LimitChange
from llmgw.simulator import MODELS, PROVIDERS
from llmgw.store import open_store
from tests.support.processes import Process, free_port, wait_until
from tests.support.validated import ValidatedTransport

TIMEOUT_S = 20.0
LEDGER_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Model:
    """A `[[models]]` table beside those of the simulator's own models."""

    id: str
    upstream: str
    upstream_model: str
    more: str = ""
    """Further lines of TOML."""


MORE_MODELS = (
    Model("vendor/qwen3.6-plus", "qwen", "qwen3.6-plus", 'input_modalities = ["text", "image"]'),
    Model("vendor/team/kimi", "kimi", "kimi-k2.6"),
    Model("deepseek-by-object", "deepseek", "deepseek-v4-pro", 'thinking = "thinking_object"'),
    Model("served-by-vllm", "qwen", "qwen3-max", 'thinking = "chat_template_kwargs"'),
    Model(
        "directive-with-images",
        "qwen",
        "qwen3.6-plus",
        'thinking = "directive"\ninput_modalities = ["text", "image"]',
    ),
    Model("dropping", "qwen", "qwen3-max", 'drop = ["reasoning_effort", "seed"]'),
    Model("never-streams", "qwen", "qwen3.6-plus", 'upstream_stream = "never"'),
    Model("always-streams", "glm", "glm-5", 'upstream_stream = "always"'),
    Model("glm-always-thinks", "glm", "glm-5-flash", 'thinking_modes = ["on"]'),
    Model(
        "glm-drops-the-switch", "glm", "glm-5-flash", 'thinking_modes = ["on"]\nthinking_fallback = "drop"'
    ),
    Model("qwen-drops-the-switch", "qwen", "qwen3-next-80b-a3b-thinking", 'thinking_fallback = "drop"'),
    Model("kimi-drops-the-switch", "kimi", "kimi-k2-thinking", 'thinking_fallback = "drop"'),
    Model(
        "takes-all-media",
        "qwen",
        "qwen3-max",
        'input_modalities = ["text", "image", "audio", "video", "file"]',
    ),
    Model("keeps-developers", "glm", "glm-5", 'developer_role = "keep"'),
    Model("never-thinks", "qwen", "qwen3-max", 'thinking_modes = ["off"]'),
    Model("scripted", "scripted", "scripted"),
    Model("scripted-merged", "scripted", "scripted", 'upstream_stream = "always"'),
    Model("hasty", "hasty", "scripted"),
    Model("hasty-glm", "hasty-glm", "glm-5"),
    Model("unreachable", "unreachable", "anything"),
    Model("text-embedding-v4", "qwen", "text-embedding-v4", 'kind = "embedding"'),
    Model("qwen3-rerank", "qwen", "qwen3-rerank", 'kind = "rerank"'),
    Model("scripted-embedding", "scripted", "scripted", 'kind = "embedding"'),
    Model("scripted-rerank", "scripted", "scripted", 'kind = "rerank"'),
    Model("wrong-upstream-key", "misconfigured", "qwen3-max"),
)
"""`hasty` and `hasty-glm` have timeouts of half a second."""

UPSTREAM_SECRET = "sim-not-the-key"
CHAT_COMPLETIONS = "/v1/chat/completions"


SQLITE_URL = "sqlite:///gateway.db"


def config_text(
    simulator_url: str, scripted_url: str, *, server: str = "", store_url: str = SQLITE_URL
) -> str:
    """The whole config file; `server` holds further lines of its `[server]` table."""
    unreachable = f"http://127.0.0.1:{free_port()}/v1"
    hasty = "first_event_timeout_s = 0.5\nidle_timeout_s = 0.5"
    parts = [f"[server]\n{server}", f'[store]\nurl = "{store_url}"']
    elsewhere = {"qwen": f'rerank_url = "{simulator_url}/qwen/compatible-api/v1/reranks"'}
    parts += [
        _upstream(name, f"{simulator_url}/{name}/v1", f"sim-{name}", elsewhere.get(name, ""))
        for name in PROVIDERS
    ]
    parts += [
        _upstream("scripted", scripted_url, "scripted-key"),
        _upstream("hasty", scripted_url, "scripted-key", hasty),
        _upstream("hasty-glm", f"{simulator_url}/glm/v1", "sim-glm", hasty),
        _upstream("unreachable", unreachable, "no-key"),
        _upstream("misconfigured", f"{simulator_url}/qwen/v1", UPSTREAM_SECRET),
    ]
    for model in MODELS:
        facts = f"input_modalities = {model.input_modalities}\ncontext_window = {model.context_window}"
        parts.append(_model(Model(model.id, model.provider, model.id, facts)))
    parts += map(_model, MORE_MODELS)
    return "\n\n".join(parts) + "\n"


def _upstream(name: str, base_url: str, api_key: str, more: str = "") -> str:
    return f'[upstreams.{name}]\nbase_url = "{base_url}"\napi_key = "{api_key}"\n{more}'


def _model(model: Model) -> str:
    names = f'id = "{model.id}"\nupstream = "{model.upstream}"\nupstream_model = "{model.upstream_model}"'
    return f"[[models]]\n{names}\n{model.more}"


@dataclass(frozen=True)
class Answer:
    """A whole answer, its body byte for byte."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of an error answer, whose shape is checked."""
        body = self.json()
        assert set(body) == {"error"}, body
        assert set(body["error"]) == {"message", "type", "param", "code"}, body
        error: dict[str, Any] = body["error"]
        return error


class Gateway:
    """`llmgw serve` on a free port, with its own config and database."""

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        files: int | None = None,
        program: str = "llmgw",
        env: Mapping[str, str] | None = None,
        store_url: str | None = None,
    ) -> None:
        """Starts it and waits until it is ready.

        `files`: the limit of its open ones. `program`: a module that is run in its place. `store_url`: where
        the tests reach its database, if it is not the file that `config_text` names by itself.
        """
        self.config = folder / "llmgw.toml"
        self.config.write_text(config, "utf-8")
        self.database = folder / "gateway.db"
        self.store = open_store(store_url or f"sqlite:///{self.database}")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = ("serve", "--config", str(self.config), "--port", str(self.port))
        self._process = partial(Process, program, *arguments, folder=folder, env=env, files=files)
        self.key = self.new_key()  # before the start: each worker knows it from its first request on
        self.start()
        self.client = httpx.Client(
            base_url=self.url, transport=ValidatedTransport(), trust_env=False, timeout=TIMEOUT_S
        )

    def start(self) -> None:
        """Again, after `stop` or the process's end: the same port and database. Waits until it is ready.

        And until its parent has noticed: before that, workers that are killed are a start that fails.
        """
        self.process = self._process()
        self.process.wait_ready(f"{self.url}/readyz")
        wait_until(lambda: " listening on " in self.process.output, "ready", timeout_s=TIMEOUT_S)

    def stop(self) -> None:
        """An orderly stop, as of `Process.stop`."""
        self.process.stop()

    def new_key(self, *, models: Sequence[str] | None = None, expires_at: datetime | None = None) -> str:
        """A key that is in force."""
        return create_key(self.store, actor="test", name="test", models=models, expires_at=expires_at).token

    def set_limits(self, limits: Sequence[LimitChange], budgets: Sequence[BudgetSetting]) -> None:
        """Of its own key; in force within a second."""
        update_key(self.store, self.key, actor="test", limits=limits, budgets=budgets)

    def revoke(self, key: str) -> None:
        """End a key."""
        revoke_key(self.store, key, actor="test")

    def workers(self) -> list[int]:
        """Their process ids. Linux only."""
        pid = self.process.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]

    def metric(self, sample: str) -> float:
        """One sample of `/metrics` by its name and labels; 0 if there is none."""
        for line in self.client.get("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def connect(
        self, head: str = "", body: bytes = b"", *, receive_buffer: int | None = None
    ) -> socket.socket:
        """A connection on which these bytes have been sent; `head` as of `chat_head`, or anything else."""
        connection = socket.socket()
        connection.settimeout(TIMEOUT_S)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(("127.0.0.1", self.port))
            connection.sendall(head.encode() + body)
        except OSError:
            connection.close()
            raise
        return connection

    def chat_head(self, length: int | None, *more: str, key: str | None = None) -> str:
        """The head of a chat completion; `length` None: a chunked body."""
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        authorization = f"authorization: {self.headers(key)['authorization']}"
        return "\r\n".join(
            ("POST /v1/chat/completions HTTP/1.1", "host: gateway", authorization, framing, *more, "", "")
        )

    def ask(self, body: dict[str, Any], *, receive_buffer: int | None = None) -> socket.socket:
        """A connection on which a chat completion has been asked for, to be read at one's own pace."""
        content = json.dumps(body).encode()
        return self.connect(self.chat_head(len(content)), content, receive_buffer=receive_buffer)

    def headers(self, key: str | None = None) -> dict[str, str]:
        """The authorization header, of the gateway's first key by default."""
        return {"authorization": f"Bearer {key or self.key}"}

    def get(self, path: str, *, key: str | None = None) -> Answer:
        """GET with a key."""
        response = self.client.get(path, headers=self.headers(key))
        return Answer(response.status_code, response.headers, response.content)

    def post(
        self, body: bytes | dict[str, Any], *, key: str | None = None, path: str = CHAT_COMPLETIONS
    ) -> Answer:
        """POST a completion with a key, and read the whole answer."""
        with self.stream(body, key=key, path=path) as response:
            return Answer(response.status_code, response.headers, b"".join(response.iter_raw()))

    @contextmanager
    def stream(
        self, body: bytes | dict[str, Any], *, key: str | None = None, path: str = CHAT_COMPLETIONS
    ) -> Iterator[httpx.Response]:
        """POST a completion and let the caller read; leaving the block closes the connection."""
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        headers = {"content-type": "application/json", **self.headers(key)}
        with self.client.stream("POST", path, headers=headers, **sent) as response:
            yield response

    def ledger(self, request_id: str) -> dict[str, Any]:
        """The row of one request. Waits for the ledger's writer; TimeoutError if no row comes."""
        wait_until(
            lambda: bool(self._rows(request_id)), f"ledger row {request_id}", timeout_s=LEDGER_TIMEOUT_S
        )
        [row] = self._rows(request_id)
        return row

    def ledger_rows(self, *, after: int = 0) -> list[dict[str, Any]]:
        """All rows that are written already; those with a greater `id` than `after`."""
        return self.query("SELECT * FROM ledger WHERE id > ? ORDER BY id", after)

    def _rows(self, request_id: str) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM ledger WHERE request_id = ?", request_id)

    def query(self, sql: str, *values: str | int) -> list[dict[str, Any]]:
        """Rows of the database; each `?` of the statement stands for a value.

        Times are texts and truth values numbers on SQLite.
        """
        if self.store.dialect == "postgresql":
            with self.store.read() as session:
                found = session.connection().exec_driver_sql(sql.replace("?", "%s"), values)
                return [dict(row) for row in found.mappings()]
        with closing(sqlite3.connect(self.database, timeout=TIMEOUT_S)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, values)]

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self.client.close()
        self.store.close()
        self.process.kill()
