"""The boundary between Python and Rust: every type that crosses it, and nothing else.

`_core` holds no logic of its own. Requests are scanned and rewritten by `rust/core`, exchanges with providers
are run by `rust/upstream`; this module hands their types to Python. All classes are immutable (`frozen` in
Rust) and safe to share between threads; an exchange belongs to the event loop on which it was started.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Final, Literal, NoReturn, TypeAlias, final

__all__ = [
    "DEBUG_BUILD",
    "ChatRequest",
    "CompletionRequest",
    "CoreError",
    "EmbeddingRequest",
    "Exchange",
    "ExchangeReport",
    "Forward",
    "LimitPlan",
    "LimitTable",
    "Observations",
    "PreparedRequest",
    "Refusal",
    "RequestError",
    "RequestFacts",
    "RerankRequest",
    "Reservation",
    "Route",
    "Seal",
    "Upstream",
    "UpstreamError",
    "__version__",
    "_panic_for_tests",
    "answer",
    "budget_headers",
    "clean_completion",
    "dialect_for",
    "is_about_the_request",
    "limit_headers",
    "merge",
    "responses_head",
    "root_certificates",
    "transform",
]

__version__: Final[str]
DEBUG_BUILD: Final[bool]
"""True when the extension was built without optimisation (tests); never benchmark such a build."""

# Names that cross the boundary. They exist for type checkers only; rust/upstream/tests/stub.rs compares them
# with what Rust has.
_RequestErrorCode: TypeAlias = Literal[
    "invalid_json",
    "invalid_type",
    "missing_field",
    "duplicate_field",
    "wrong_api",
    "unsupported_value",
    "previous_response_not_found",
    "too_deep",
]
_Modality: TypeAlias = Literal["image", "video", "audio", "file"]
_Refused: TypeAlias = Literal[
    "developer_role",
    "empty_text",
    "nulls",
    "max_completion_tokens",
    "minimal_effort",
    "base64_embeddings",
]
_Cause: TypeAlias = Literal[
    "dns",
    "refused",
    "no_route",
    "closed",
    "local",
    "tls_unknown_issuer",
    "tls_expired",
    "tls_wrong_name",
    "tls_certificate",
    "tls_not_spoken",
    "tls_handshake",
    "other",
]
_ErrorKind: TypeAlias = Literal[
    "unreachable",
    "connect_timeout",
    "first_event_timeout",
    "idle_timeout",
    "total_timeout",
    "status",
    "redirect",
    "content_type",
    "content_encoding",
    "protocol",
    "error_event",
    "invalid_event",
    "event_too_large",
    "too_large",
    "truncated",
    "reset",
    "aborted",
    "draining",
    "panic",
]
_Mode: TypeAlias = Literal["stream", "merged", "plain"]
_Dialect: TypeAlias = Literal[
    "enable_thinking", "directive", "thinking_object", "native", "chat_template_kwargs"
]
_NativeApi: TypeAlias = Literal["messages", "responses"]
_UpstreamStream: TypeAlias = Literal["auto", "always", "never"]
_ReasoningTags: TypeAlias = Literal["think"]
_UsageSource: TypeAlias = Literal["upstream", "partial", "none"]

class RequestError(Exception):
    """The request body breaks a rule of the contract. Nothing has been sent anywhere."""

    code: _RequestErrorCode
    message: str
    param: str | None
    """The field's path, such as `messages[2].content[1]`; None where no field is to blame."""
    offset: int
    """Byte offset in the body."""

class UpstreamError(Exception):
    """The exchange failed before anything was shown to the client."""

    kind: _ErrorKind
    status: int | None
    """The upstream's HTTP status, or the one that its error event names."""
    retry_after_s: float | None
    message: str | None
    """The upstream's own error message (at most 2 KiB, its API key blanked out), only where it answered with
    a JSON error. With any status: whether the client may see it is for the caller to say."""
    code: str | None
    """The upstream's own name for its error, for the operator (at most 64 bytes, its API key blanked out)."""
    cause: _Cause | None
    """Why it is `unreachable`."""

class CoreError(Exception):
    """A defect in the Rust core (a panic). Worth one 500 and a bug report, never a dead worker."""

def dialect_for(upstream_model: str) -> _Dialect:
    """The thinking dialect that the pattern table gives for an upstream model's name."""

def is_about_the_request(status: int) -> bool:
    """Whether an upstream that answers with this status refuses what the client asked for.

    Then every upstream would refuse it, and the client may be told why. Other 4xx are about the gateway's
    key, account, pace or route.
    """

def responses_head(body: bytes | Sequence[bytes]) -> tuple[str, bool, str | None]:
    """The model of a Responses body, whether it wants a stream, and its `previous_response_id`.

    Raises RequestError.
    """

def root_certificates() -> bytes:
    """The certificates that `Upstream` trusts for `https`: the system's, in DER, one behind the other.

    Blocking. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    """

@final
class Route:
    """How requests for one configured model are rewritten."""

    def __new__(
        cls,
        upstream_model: str,
        *,
        dialect: _Dialect | None = None,
        upstream_stream: _UpstreamStream = "auto",
        drop: Sequence[str] = (),
        reasoning_tags: _ReasoningTags | None = None,
        thinking_on: bool = True,
        thinking_off: bool = True,
        restore_reasoning: bool = False,
        refuses: Sequence[_Refused] = (),
        provider: str = "",
        speaks: Sequence[_NativeApi] = (),
    ) -> Route:
        """`dialect` None: by pattern. `reasoning_tags` "think": reasoning stands in the content.

        `thinking_on`, `thinking_off`: whether the model has that mode. A switch that asks for a mode which it
        lacks is taken out and not sent (`ignored`). `restore_reasoning`: the model refuses assistant messages
        that lost their reasoning; so answers' reasoning is gathered, and put back. `provider`: whose
        reasoning that is.

        `refuses`: what the upstream gets in other words. `speaks`: the APIs beside chat in which it is asked;
        their bodies pass untouched.

        Raises ValueError for an unknown dialect, upstream_stream, reasoning_tags, refused thing or API.
        """
    @property
    def upstream_model(self) -> str:
        """For tests of what a config makes."""
    @property
    def dialect(self) -> _Dialect: ...
    @property
    def restore_reasoning(self) -> bool: ...
    @property
    def refuses(self) -> list[_Refused]:
        """For tests of what a config makes."""
    @property
    def speaks(self) -> list[_NativeApi]:
        """The same."""

@final
class Seal:
    """Seals reasoning which a client carries for the gateway, and opens it for the same client only."""

    def __new__(cls, secret: bytes, client: bytes) -> Seal:
        """`secret`: 32 bytes that all workers and machines share. `client`: whose reasoning it is.

        Raises ValueError for a secret of another length.
        """

@final
class ChatRequest:
    """One scan of a chat-completions body: what the gateway reads, and where it stands."""

    def __new__(cls, body: bytes | Sequence[bytes]) -> ChatRequest:
        """`body`: whole, or the pieces in which it came. It is copied. Raises RequestError."""
    @staticmethod
    def from_messages(
        body: bytes | Sequence[bytes],
        *,
        seal: Seal | None = None,
        keep_cache_control_of: Sequence[str] = (),
    ) -> ChatRequest:
        """A body of Anthropic's Messages API in chat's words. It will be answered in that API's words.

        `seal` makes the signatures of thinking blocks, and opens them. `cache_control` marks are taken out
        unless the body asks for one of the models `keep_cache_control_of`. Raises RequestError.
        """
    @staticmethod
    def from_responses(
        body: bytes | Sequence[bytes],
        *,
        seal: Seal | None = None,
        keeps: bool = False,
        kept_items: bytes | None = None,
    ) -> ChatRequest:
        """The same for OpenAI's Responses API, where `seal` is for `encrypted_content`.

        `keeps`: the conversation is kept, unless the client asks not to. `kept_items`: what was kept of the
        one that the request goes on with; then it is sent to no upstream in its own words.
        """
    @property
    def kept_items(self) -> bytes | None:
        """If the conversation is to be kept: its items so far, JSON with commas between them."""
    @property
    def body(self) -> bytes:
        """The chat-completions body. A copy, for tests."""
    @property
    def dropped(self) -> list[str]:
        """What a conversion left out, each kind once, such as `tools.web_search`."""
    @property
    def input_tokens(self) -> int | None:
        """About how many tokens it has, where it came as a Messages body; rather too many than too few."""
    @property
    def model(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def thinking(self) -> bool | None:
        """The switch that was asked for: `llmgw_thinking`, else `enable_thinking`, else None.

        Without a boolean, False if `reasoning_effort` or `reasoning` says so; that counts only where the
        dialect has a switch.
        """
    @property
    def thinking_field(
        self,
    ) -> Literal["llmgw_thinking", "enable_thinking", "reasoning_effort", "reasoning"] | None:
        """Which field `thinking` comes from."""
    @property
    def media(self) -> list[tuple[_Modality, str]]:
        """What content parts hold beside text, with the path of the first: `messages[2].content[1]`."""
    @property
    def size_bytes(self) -> int:
        """How long the body is."""
    @property
    def facts(self) -> RequestFacts: ...
    @property
    def prompt_cache_key(self) -> str | None:
        """The member of this name, if it is a text of 1 to 256 bytes."""
    @property
    def client_session(self) -> str | None:
        """The session that Claude Code names along with the user, of at most 256 bytes."""
    def opening_digest(self) -> int | None:
        """64 bits that are the same for every turn of a conversation, and in every spelling of its JSON.

        Of the system messages before the first user message, and of that message: the first 4 KiB of the
        text of each, and its media. Not of what follows, of names, marks and unknown members, nor of the
        billing line of Claude Code. None: no user has spoken.
        """
    def lost_turns(self, route: Route) -> int:
        """How many assistant messages have no `reasoning_content` (absent, null or empty).

        0 where the route does not want it back, where no tools are offered and none were called, or where
        thinking is switched off.
        """
    def lost_turn_keys(self, client: bytes, routes: Sequence[Route]) -> list[tuple[list[bytes], list[bytes]]]:
        """What those turns were kept under, if they were: 32 bytes each, in their order.

        For each turn its keys, one for each provider among the routes that want reasoning, and its hints:
        further keys, the best first, which may lead to one of those if the history is no longer whole.

        A digest over `client` (whose turns they are), the provider, and the id of the turn's first tool call.
        A turn without one, or with an id that may come again in another conversation (Kimi's
        `get_weather:0`), is known by what it says and by all messages before it, the system's apart. What
        counts is what messages say, not how they are written.
        """
    def count_tokens(self, route: Route) -> PreparedRequest:
        """A Messages body whose tokens the route's upstream is to count; the answer is `{"input_tokens": N}`.

        Raises ValueError where the route does not speak `messages`, or the body is of another API.
        """
    def rewrite(self, route: Route, *, reasoning: Sequence[bytes | None] = ()) -> PreparedRequest:
        """The body for the upstream.

        `reasoning`: what was kept for each of `lost_turn_keys`, as `Exchange.turns` gave it. It goes in
        where `lost_turns` counts it, 16 MiB at most, the last turns first. What can't stand in a JSON string
        is passed over.
        """

@final
class CompletionRequest:
    """One scan of a text-completions body: `model` and `prompt`, of chat's fields those that this API has."""

    def __new__(cls, body: bytes | Sequence[bytes]) -> CompletionRequest:
        """`body`: whole, or the pieces in which it came. It is copied. Raises RequestError."""
    @property
    def model(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def facts(self) -> RequestFacts: ...
    def rewrite(self, route: Route) -> PreparedRequest:
        """The body for the upstream, which gets it at `/completions`.

        There is no thinking here, and no merging: of the route, `upstream_model` and `drop` count. The
        gateway's own `llmgw_thinking` is taken out; other switches pass, as all unknown fields do.
        """

@final
class EmbeddingRequest:
    """One scan of an embeddings body: `model`, `input` and `encoding_format`."""

    def __new__(cls, body: bytes | Sequence[bytes]) -> EmbeddingRequest:
        """`body`: whole, or the pieces in which it came. It is copied. Raises RequestError."""
    @property
    def model(self) -> str: ...
    @property
    def facts(self) -> RequestFacts: ...
    def rewrite(self, route: Route) -> PreparedRequest:
        """The body for the upstream, which gets it at `/embeddings`. Its answer is always `plain`.

        Of the route, `upstream_model`, `drop` and `refuses` count. If `encoding_format` is `base64` or
        `float`, vectors that come in the other form are converted.
        """

@final
class RerankRequest:
    """One scan of a rerank body: `model`, `query` and `documents`."""

    def __new__(cls, body: bytes | Sequence[bytes]) -> RerankRequest:
        """`body`: whole, or the pieces in which it came. It is copied. Raises RequestError."""
    @property
    def model(self) -> str: ...
    @property
    def facts(self) -> RequestFacts: ...
    def rewrite(self, route: Route) -> PreparedRequest:
        """The body for the upstream, which gets it at `/rerank`, or at its `rerank_url`. Always `plain`.

        Of the route, `upstream_model` and `drop` count.
        """

@final
class RequestFacts:
    """What limits, budgets and prices need to know of a request. It holds nothing of the body."""

    @property
    def text_bytes(self) -> int:
        """About how much text a model reads: bytes of UTF-8, escapes read, media apart.

        Messages, with what they call and think, tools and the schema of the answer; of a body of another API
        what chat has of it. Ids, names and roles do not count, tools count as the JSON that they are. All
        prompts and `suffix`; all inputs; query, documents and instruction. A token that comes as a number
        counts 4.
        """
    @property
    def images(self) -> int:
        """How many parts hold media, which `text_bytes` leaves out: images, sounds, films, files."""
    @property
    def max_output_tokens(self) -> int | None:
        """The least of `max_tokens`, `max_completion_tokens` and `max_output_tokens`, of each choice.

        None without one, or with nonsense only: it is a number from 1 to 100 million, of text completions
        also 0. Always None of embeddings and rerank: nothing is written.
        """
    @property
    def choices(self) -> int:
        """How many answers are asked for: `n` or `best_of`, from 1 to 128, for each prompt."""
    @property
    def user(self) -> str | None:
        """Whom the client names as its user: at most 128 bytes of what prints, and never empty.

        `user`, of a Responses body else `safety_identifier`, of a Messages body `metadata.user_id` (of Claude
        Code's the account or the device, without the session). A longer one is `sha256:` and 32 digits.
        """

@final
class PreparedRequest:
    """A rewritten body, ready to be sent, and where. A long one shares its bytes with the request."""

    @property
    def body(self) -> bytes:
        """A copy, for tests: `Upstream.start` sends the parts themselves."""
    @property
    def api(
        self,
    ) -> Literal["chat", "completions", "embeddings", "rerank", "messages", "responses", "count_tokens"]:
        """In which API the upstream is asked."""
    @property
    def mode(self) -> _Mode:
        """`stream` (SSE to the client), `merged` (SSE from the upstream, JSON to the client) or `plain`."""
    @property
    def thinking_asked(self) -> Literal["on", "off"] | None:
        """What the client's switch asks for; None: it gave none."""
    @property
    def thinking_sent(self) -> _Dialect | Literal["reasoning_effort", "ignored"] | None:
        """In which dialect the switch was sent, if it was; None: there was none to be sent."""
    @property
    def keeps_reasoning(self) -> bool:
        """Whether `Exchange.turns` is worth asking: the route wants reasoning back."""
    @property
    def restored(self) -> int:
        """How many messages have got their reasoning back."""
    @property
    def dropped(self) -> list[str]:
        """What of the client's request is not in this body, as `ChatRequest.dropped`."""

@final
class Upstream:
    """One provider endpoint with its pooled client. Made once per process and config."""

    def __new__(
        cls,
        base_url: str,
        *,
        rerank_url: str | None = None,
        messages_url: str | None = None,
        responses_url: str | None = None,
        api_key: str | None = None,
        connect_timeout_s: float,
        first_event_timeout_s: float,
        idle_timeout_s: float,
        total_timeout_s: float,
        max_event_bytes: int = ...,
        max_answer_bytes: int = ...,
    ) -> Upstream:
        """`rerank_url`: where rerank is, unless at `base_url` + `/rerank`; on the same host.

        `messages_url`, `responses_url`: where it speaks these APIs, if it does; on any host.

        `max_event_bytes`: of one event of a stream (16 MiB by default), and of one line of it.

        `max_answer_bytes`: of a plain or merged answer, as it is read (64 MiB).

        Raises ValueError where a URL is not an http(s) one, the key can't stand in a header, or a timeout is
        not positive.
        """
    def start(
        self,
        request: PreparedRequest,
        *,
        request_id: str,
        heartbeat_s: float,
        heartbeat_line: bool = False,
        total_timeout_s: float | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        trace: Sequence[tuple[bytes, bytes]] = (),
    ) -> Exchange:
        """Send the request now. Must be called on a running asyncio loop (else RuntimeError).

        It goes to `base_url` and the path of its API (`/chat/completions`, `/completions`, `/embeddings`,
        `/rerank`), or to that API's own URL. Raises ValueError where there is none. `headers`: the client's,
        which only Messages and Responses get. `trace`: `traceparent` and `tracestate`, which all get.

        `total_timeout_s` lowers the upstream's own, where earlier attempts have used up a part of it.

        Where nothing has gone to a stream's client for `heartbeat_s`, the next block is a comment, with a
        blank line behind it unless `heartbeat_line` says so. It may come before the first event, and then
        commits the stream: what fails afterwards is told in-band.
        `first_event_timeout_s` bounds the wait for the first event of a stream, merged ones too. A plain
        answer has no events, nor headers before it is complete: only `total_timeout_s` bounds that wait.
        """

@final
class Exchange:
    """One request to a provider and its answer.

    Dropping it, or cancelling a task that awaits it, aborts it at once.
    """

    def next_block(self) -> Awaitable[bytes | None]:
        """The next block of whole frames (or the one whole body of a not-streaming answer); None at the end.

        Only the first call raises UpstreamError. Later failures are in the last block, as an error frame.
        One task at a time may wait, on the loop that started the exchange; another one gets RuntimeError.
        """
    def forward(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> Forward:
        """Give every block but the last to an ASGI server's `send`, the last one to whoever awaits this.

        The last block ends the answer (`finished` is True then); None: it ended without one, aborted
        perhaps. To be awaited at once, after the first block, and instead of `next_block`. `send` is called
        on the loop, by the loop itself wherever nothing has to wait: it must not depend on the task that
        it is called in. Raises what `send` raises.
        """
    def abort(self) -> None:
        """Close the connection to the upstream now.

        A pending `next_block` ends with None; the first one raises `aborted`.
        """

    def drain(self) -> None:
        """The gateway is shutting down: end the answer now.

        A stream that has begun gets an error frame in its last block; otherwise the first `next_block`
        raises `draining`.
        """
    @property
    def finished(self) -> bool:
        """True once `next_block` has given the last block, or has raised: the report is final.

        So a block after which this is True is the one that ends the answer.
        """
    def report(self) -> ExchangeReport: ...
    def turns(self, request: ChatRequest, client: bytes) -> list[tuple[bytes, list[bytes], bytes | None]]:
        """The key, the hints (see `ChatRequest.lost_turn_keys`) and the reasoning of each choice.

        `request` is the one that is answered. The reasoning is as it stands between the quotes of a JSON
        string, or None if there were more than 256 KiB in the answer. Empty unless the route wants reasoning
        back, the answer is complete (its last frame may be handed out), and the model reasoned.
        """

@final
class Forward(Awaitable[bytes | None]):
    """What `Exchange.forward` returns. To be awaited once."""

    @property
    def writes(self) -> int:
        """Grows by one when a write begins and when it ends: odd while `send` waits."""
    def __await__(self) -> Generator[Any, None, bytes | None]: ...
    def __iter__(self) -> Generator[Any, None, bytes | None]: ...
    def __next__(self) -> Any: ...  # noqa: ANN401  (whatever the loop is to wait for)
    def send(self, _value: None) -> Any: ...  # noqa: ANN401
    def throw(self, exception: BaseException, value: object = None, traceback: object = None) -> NoReturn: ...
    def close(self) -> None: ...

@final
class ExchangeReport:
    """What is known of an exchange so far.

    Final once `Exchange.finished` is True.
    """

    @property
    def complete(self) -> bool:
        """Whether the answer came to its proper end, whichever words its API has for that."""
    @property
    def finish_reason(self) -> str | None:
        """None for embeddings and rerank: nothing is generated."""
    @property
    def answer_id(self) -> str | None:
        """The upstream's own id of the answer, 128 bytes of it; None for embeddings and rerank."""
    @property
    def answer_model(self) -> str | None:
        """The model that the upstream says has answered, likewise."""
    @property
    def prompt_tokens(self) -> int | None:
        """With what came from a cache and what was written to one, whether or not the upstream adds those."""
    @property
    def completion_tokens(self) -> int | None:
        """With the reasoning, once, whether or not the upstream adds that. Clients see what it said."""
    @property
    def reasoning_tokens(self) -> int | None:
        """A part of `completion_tokens`, never more."""
    @property
    def cached_tokens(self) -> int | None:
        """A part of `prompt_tokens`, never more: what a cache had."""
    @property
    def cache_write_tokens(self) -> int | None:
        """Another part of it: what a cache got. None where the upstream does not say."""
    @property
    def output_bytes(self) -> int:
        """How much text came so far: content, reasoning, refusals, names and arguments of calls.

        Bytes of UTF-8, escapes read, of all choices; also of an answer that broke off, or was cancelled. 0
        for embeddings and rerank, and where a body was to come whole (`plain`) and did not.
        """
    @property
    def unmetered_bytes(self) -> int:
        """How much of that no usage counts: all of it without one, nothing of a whole answer with one.

        Of an answer that broke off, what came after the last one: Anthropic's streams begin with one.
        """
    @property
    def usage_source(self) -> _UsageSource:
        """`upstream` (of a whole answer), `partial` (usage seen, then the answer broke off) or `none`."""
    @property
    def reasoning_seen(self) -> bool: ...
    @property
    def error_kind(self) -> _ErrorKind | None:
        """Also where the failure was told in-band."""
    @property
    def error(self) -> UpstreamError | None:
        """The failure whole, also where it was told in-band. An account of it: it has no traceback."""
    @property
    def first_event_s(self) -> float | None:
        """From the start to the first good event; None before it, and for plain answers."""

# Who may use how much: rates, concurrency and budgets, exact over all workers of a machine (rust/limits).
#
# Times are `now_ns`, nanoseconds of the machine's monotonic clock: `time.monotonic_ns()`.

_RateUnit: TypeAlias = Literal["requests", "tokens"]
_HoldUnit: TypeAlias = Literal["requests", "tokens", "nano"]
_Rate: TypeAlias = tuple[str, _RateUnit, int]
"""Descriptor, unit, limit per minute. A limit of 0 refuses all."""
_Hold: TypeAlias = tuple[str, _HoldUnit, int] | tuple[str, _HoldUnit, int, int | None]
"""Descriptor, unit and limit: `requests` at once, or a budget of `tokens` or of money in 10⁻⁹ of the currency
unit (`nano`). The limit of a budget is compared with its base and all holds. Fourth, of a budget:
`keep_until_ns`, see `LimitTable.raise_base`."""
_Base: TypeAlias = tuple[str, int] | tuple[str, int, int | None]
"""Descriptor, what it has cost as the database has it, `keep_until_ns`."""
_Family: TypeAlias = tuple[int, int, float] | None
"""Limit, remaining, and seconds until the whole limit is there again; None where no rate has that unit."""
_HeaderFamily: TypeAlias = Literal["openai", "anthropic"]

@final
class LimitTable:
    """One worker's face of the memory that all workers of a machine share. One per process; thread-safe.

    It and all that is made of it belong to the process that opened it: in a forked child every call raises
    RuntimeError, and nothing is given back twice.
    """

    @staticmethod
    def open(folder: str, *, entries: int = 65536, slots: int = 64) -> LimitTable:
        """The table of this machine in `folder`, made if need be, and a free slot in it.

        To be called in each worker, after it was forked: a slot is taken as long as any process has the file
        open whose lock this takes.

        A table that is there keeps its shape. Raises OSError where the folder can't be used, all slots belong
        to live workers, or the table is damaged or of another version and live workers use it (if none do, it
        is made anew); ValueError where no table can have that shape.
        """
    @staticmethod
    def in_memory(*, entries: int = 4096, slots: int = 4) -> LimitTable:
        """A table of this process alone, for tests and simulations."""
    def another_slot(self) -> LimitTable:
        """A second worker's face of the same memory.

        Raises OSError unless it is `in_memory` and has a free slot.
        """
    def abandon(self) -> None:
        """Leave everything as a killed worker leaves it, for tests and simulations.

        What this slot has stays until another slot's `sweep`. Later calls here raise RuntimeError.
        """
    @property
    def slot(self) -> int: ...
    @property
    def slots(self) -> int: ...
    @property
    def entries(self) -> int: ...
    @property
    def entries_used(self) -> int: ...
    @property
    def overflowed(self) -> int:
        """How often a descriptor found no room, and got an entry that it shares with others: it gets less."""
    def sweep(self, now_ns: int | None = None) -> int:
        """Free the slots of dead workers, with all that these had; how many. To be called every second or so.

        With `now_ns` it also frees entries: those of rates and concurrency that nobody has used for an hour,
        those of budgets after their `keep_until_ns`; each call looks at a few thousand.

        Raises OSError.
        """
    def raise_base(self, descriptor: str, base: int, *, keep_until_ns: int | None = None) -> None:
        """What a budget has cost, as the database has it. Only ever raised: a lower number changes nothing.

        `keep_until_ns`: until when its entry, and so its base, is kept at least; None: for ever. To be the
        end of its window and some, lest ended windows fill the table. The latest time that was said counts.

        Raises OSError where the table can't be locked.
        """
    def fill_rate(self, descriptor: str, now_ns: int, level_ns: int) -> None:
        """A rate is at least as full as this: so long until it is empty again, a minute at most.

        For whoever has counted it elsewhere until now. Nothing happens where the descriptor gets no entry of
        its own. Raises OSError where the table can't be locked.
        """
    def stored(self, bases: Sequence[_Base], reservations: Sequence[Reservation]) -> None:
        """The database has what these requests used, and this is what each budget has cost with it.

        The same as `raise_base` for each of the bases, then `Reservation.stored` for each reservation, but so
        that at no moment anything counts twice and a budget refuses for money that nobody spent. Raises
        RuntimeError where one has not been settled, OSError where the table can't be locked; then nothing has
        changed.
        """
    def usage(self, descriptor: str, now_ns: int) -> tuple[int, int, int] | None:
        """`(base, held, tat_ns)`: a budget's base, what all workers hold, when a rate's bucket will be empty.

        0 where there is none of it, or the bucket is empty. None: no entry.
        """

@final
class LimitPlan:
    """All limits of one kind of request (a key, a model, a user), compiled. Made once and cached."""

    def __new__(
        cls,
        table: LimitTable,
        rates: Sequence[_Rate],
        holds: Sequence[_Hold],
        *,
        told: Sequence[tuple[_Hold, str]] = ...,
    ) -> LimitPlan:
        """`told`: the budgets that `headers` tell of, held or not; by default none.

        Each with what stands behind the number: `CNY; day`. Raises ValueError for an unknown unit,
        OverflowError for a number below 0 or too large.
        """
    def reserve(
        self, now_ns: int, input_tokens: int, output_tokens: int, cost_nano: int
    ) -> Reservation | Refusal:
        """Take what a request needs of every limit, or nothing of any.

        Tokens are those of input and output together. Output that is larger than a whole rate is cut to what
        fits, for a rate alone: a budget has to have it all.
        """
    def strictest(self, now_ns: int) -> tuple[_Family, _Family]:
        """Of requests and of tokens, what the rate leaves that leaves the least."""
    def headers(self, now_ns: int, family: _HeaderFamily, now_unix_s: float) -> list[tuple[bytes, bytes]]:
        """The same as headers; see `Reservation.headers`."""

@final
class Reservation:
    """What a request has taken. Settle or cancel it; after settling, `stored`. Each of them from any thread.

    Dropped before that, it gives back its concurrency and what its budgets hold. What rates were charged
    drains within a minute.
    """

    @property
    def strictest(self) -> tuple[_Family, _Family]:
        """As `LimitPlan.strictest`, at the moment of the reservation. Made when asked for."""
    def headers(self, family: _HeaderFamily, now_unix_s: float) -> list[tuple[bytes, bytes]]:
        """The same as headers, of those units that have a rate; and of the budgets that are told.

        `now_unix_s`: `time.time()`.

        `openai`: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as Go writes durations
        (`120ms`, `6m0s`). `anthropic`: `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`,
        resets as times of RFC 3339.

        `x-llmgw-budget-remaining`: of the budget of which the least is left now, as a share. Money is rounded
        down to four places, of which two are always there.
        """
    def settle(self, now_ns: int, tokens: int, cost_nano: int) -> None:
        """The request has ended, and this is what it used.

        Rates: what was reserved too much is given back, as far as it has not drained from the bucket since;
        what was used beyond the reservation is a debt, which later requests wait for (an hour at most).
        Concurrency is given back. Budgets hold what was used, until `stored`. Only the first call counts, of
        this or `cancel`.
        """
    def cancel(self, now_ns: int | None = None) -> None:
        """The request has ended and used nothing: as `settle` with 0, and nothing is left to be stored.

        The request itself stays counted. `now_ns` is by default `time.monotonic_ns()`.
        """
    def stored(self) -> None:
        """The database has it, and `raise_base` was called before: the budgets' holds are given back.

        Better `LimitTable.stored`: in between what was used counts twice, and a budget may refuse for it.
        A second call changes nothing. Raises RuntimeError before `settle`.
        """

@final
class Refusal:
    """Some limit says no, and nothing has been taken of any.

    Of several, it is the one that will say so for the longest.
    """

    @property
    def index(self) -> int:
        """Which one: the plan's rates come first, then its holds."""
    @property
    def is_rate(self) -> bool: ...
    @property
    def retry_after_s(self) -> float | None:
        """None where waiting does not help: a budget (until its window ends), or more than a whole limit.

        1.0 for concurrency: nobody knows when a request will end.
        """
    @property
    def limit(self) -> int: ...
    @property
    def remaining(self) -> int:
        """What that limit would still let through."""
    @property
    def spent(self) -> int:
        """Of a budget: its base. The rest of what is in use is held by requests that are still under way."""
    @property
    def strictest(self) -> tuple[_Family, _Family]:
        """As `Reservation.strictest`, at the moment of the refusal."""
    def headers(self, family: _HeaderFamily, now_unix_s: float) -> list[tuple[bytes, bytes]]:
        """See `Reservation.headers`."""

@final
class Observations:
    """What several histograms have counted since the last `take`. To be used from any thread."""

    def __new__(cls, *bounds: Sequence[float]) -> Observations:
        """`bounds`: of the buckets of each histogram, ascending, without the infinite one."""
    def observe(self, *values: float | None) -> None:
        """Count a value of each histogram, in their order; None, or none at the end: it has none.

        A value that is a bound is in the bucket below it. Raises ValueError for more values than histograms.
        """
    def take(self) -> list[tuple[list[int], float]]:
        """Of each histogram how many values are in each bucket, and the sum of the values."""

def limit_headers(
    strictest: tuple[_Family, _Family], family: _HeaderFamily, now_unix_s: float
) -> list[tuple[bytes, bytes]]:
    """Of limits that were counted elsewhere, what `Reservation.headers` says of its own."""

def budget_headers(budgets: Sequence[tuple[int, int, bool, str]]) -> list[tuple[bytes, bytes]]:
    """The same of budgets: limit, what is left of it, whether it is money, what stands behind the number."""

# For tests, benches and people who want the bytes without a socket.

def transform(
    chunks: Sequence[bytes],
    *,
    include_usage: bool,
    request_id: str = "req",
    model: str = "model",
    created_s: int = 0,
    reasoning_tags: _ReasoningTags | None = None,
) -> bytes:
    """A whole stream, in the given pieces, through the stream transformer: normalised SSE.

    `reasoning_tags` as in `Route`, here and below.
    """

def merge(
    chunks: Sequence[bytes],
    *,
    request_id: str = "req",
    model: str = "model",
    created_s: int = 0,
    reasoning_tags: _ReasoningTags | None = None,
) -> bytes:
    """A whole stream merged into one `chat.completion`. Raises UpstreamError where it is no success."""

def clean_completion(
    body: bytes,
    *,
    request_id: str = "req",
    model: str = "model",
    created_s: int = 0,
    reasoning_tags: _ReasoningTags | None = None,
) -> bytes:
    """The clean-up of a not-streaming answer. Raises UpstreamError where the body is no completion."""

def answer(
    request: ChatRequest,
    chunks: Sequence[bytes],
    *,
    stream: bool = True,
    request_id: str = "req",
    model: str = "model",
    created_s: int = 0,
    reasoning_tags: _ReasoningTags | None = None,
) -> bytes:
    """A whole chat stream, in the given pieces, as the answer to `request`: in the words of its API.

    `stream`: as events, which tell an error in-band; else as one body. Then raises UpstreamError where the
    stream is no success.
    """

def _panic_for_tests() -> NoReturn:
    """Panic in Rust, and raise the CoreError that every panic becomes."""
