"""The URL of a Redis: where it is, how it is reached, and by whom.

    redis://[USER:PASSWORD@]HOST[:6379][/DB]                            one server, or one address of several
    redis+sentinel://[USER:PASSWORD@]HOST[:26379],…/MASTER[/DB]         the sentinels say which server it is
    redis+cluster://[USER:PASSWORD@]HOST[:6379],…                       some nodes, which know the others

`rediss…` is each of them with TLS, which checks certificate and host name. Options of TLS, after `?`:
`ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` (files), `ssl_check_hostname=false`, `ssl_cert_reqs=none`;
of sentinels: `sentinel_username`, `sentinel_password`. User, password and options are percent-encoded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from llmgw.errors import LlmgwError

Kind: TypeAlias = Literal["single", "sentinel", "cluster"]

MOST_HOSTS: Final = 64
"""Of sentinels or nodes in one URL."""

_KINDS: Final[Mapping[str, Kind]] = {
    "redis": "single",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_PORT: Final[Mapping[Kind, int]] = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS: Final = (*_FILES, "ssl_check_hostname", "ssl_cert_reqs")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_REQUIREMENTS: Final[Mapping[str, bool]] = {"required": True, "none": False}
_LARGEST_PORT: Final = 65_535
_LARGEST_DB: Final = 2**31 - 1

RIGHT: Final = 'write it like "redis://127.0.0.1:6379/0" (rediss:// with TLS), or "env:NAME"'
_RIGHT_SENTINEL: Final = 'write it like "redis+sentinel://host1:26379,host2:26379/MASTER/0"'
_RIGHT_CLUSTER: Final = 'write it like "redis+cluster://host1:6379,host2:6379"'


class RedisUrlError(LlmgwError):
    """It can't be used. No text of it is in the message: any part may be a piece of the password."""

    def __init__(self, problem: str, remedy: str) -> None:
        """As in a `Fault`."""
        super().__init__(f"the URL of Redis {problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class Address(NamedTuple):
    """Of a server."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server is known, and how we show ourselves."""

    ca_file: str | None = None
    """None: the authorities that the system trusts."""
    certificate_file: str | None = None
    key_file: str | None = None
    checks_certificate: bool = True
    checks_hostname: bool = True


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL's parts."""

    kind: Kind
    addresses: tuple[Address, ...]
    """Of the server, of sentinels or of nodes."""
    master: str = ""
    """What sentinels call it."""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    """What the sentinels themselves ask for."""
    tls: Tls | None = None

    @classmethod
    def parse(cls, text: str) -> "RedisUrl":
        """Raises RedisUrlError."""
        if not text.isascii() or not text.isprintable() or " " in text:
            raise RedisUrlError(_NOT_ONE, RIGHT)
        try:
            parts = urlsplit(text)
        except ValueError:  # a bad IPv6 address
            raise RedisUrlError(_NOT_ONE, RIGHT) from None
        scheme = parts.scheme.replace("rediss", "redis", 1)
        kind = _KINDS.get(scheme)
        if kind is None or parts.fragment:
            raise RedisUrlError(_NOT_ONE, RIGHT)
        options = _options(parts, kind, with_tls=scheme != parts.scheme)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        master, db = _path(parts.path, kind)
        return cls(
            kind,
            _addresses(hosts, kind),
            master,
            db,
            unquote(username) or None,
            unquote(password) or None,
            options.get("sentinel_username"),
            options.get("sentinel_password"),
            _tls(options) if scheme != parts.scheme else None,
        )

    @property
    def secrets(self) -> Iterator[str]:
        """What must be shown nowhere."""
        yield from (secret for secret in (self.password, self.sentinel_password) if secret)

    def files(self) -> Iterator[tuple[str, str]]:
        """The options that name files, and which."""
        named = (self.tls.ca_file, self.tls.certificate_file, self.tls.key_file) if self.tls else ()
        yield from ((option, file) for option, file in zip(_FILES, named, strict=False) if file)


def with_files(text: str, files: Mapping[str, str]) -> str:
    """The same URL with other files, by option."""
    parts = urlsplit(text)
    options = [(name, files.get(name, value)) for name, value in parse_qsl(parts.query)]
    return parts._replace(query=urlencode(options, quote_via=quote, safe="/")).geturl()


_NOT_ONE: Final = "is not the URL of a Redis server"


def _addresses(hosts: str, kind: Kind) -> tuple[Address, ...]:
    names = hosts.split(",")
    if kind == "single" and len(names) > 1:
        remedy = "write redis+sentinel:// or redis+cluster:// before them, or name one"
        raise RedisUrlError("names several hosts", remedy)
    if len(names) > MOST_HOSTS:
        raise RedisUrlError(f"names more than {MOST_HOSTS} hosts", "a few of them are enough")
    return tuple(_address(name, kind) for name in names)


def _address(name: str, kind: Kind) -> Address:
    try:
        parts = urlsplit(f"//{name}")
        host, port = parts.hostname, parts.port
    except ValueError:  # a bad port or a bad IPv6 address
        host, port = None, None
    if not host or port == 0 or "@" in name:
        raise RedisUrlError(_NOT_ONE, RIGHT)
    return Address(host, _PORT[kind] if port is None else port)


def _path(path: str, kind: Kind) -> tuple[str, int]:
    """The master and the database."""
    first, _, rest = path.removeprefix("/").partition("/")
    match kind:
        case "cluster":
            if first not in {"", "0"} or rest:
                raise RedisUrlError("names a database, and a cluster has only one", _RIGHT_CLUSTER)
            return "", 0
        case "sentinel":
            if not first:
                raise RedisUrlError("names no master, which the sentinels are asked for", _RIGHT_SENTINEL)
            return unquote(first), _db(rest, _RIGHT_SENTINEL)
        case "single":
            return "", _db(f"{first}/{rest}" if rest else first, RIGHT)


def _db(text: str, right: str) -> int:
    if text == "":
        return 0
    if not text.isdigit() or len(text) > len(str(_LARGEST_DB)) or int(text) > _LARGEST_DB:
        raise RedisUrlError("names a database that is not a number", right)
    return int(text)


def _options(parts: SplitResult, kind: Kind, *, with_tls: bool) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    except ValueError:
        pairs = [("", "")]
    options = dict(pairs)
    known = (*_TLS_OPTIONS, *(_SENTINEL_OPTIONS if kind == "sentinel" else ()))
    # Its name may be a piece of a password that has a `?` in it.
    if not options.keys() <= set(known) or len(options) < len(pairs) or not all(options.values()):
        remedy = f"the options are {', '.join(known)}, each once; in a password, write ? as %3F"
        raise RedisUrlError("has something behind its ? that is no option", remedy)
    if not with_tls and options.keys() & set(_TLS_OPTIONS):
        secure = parts.scheme.replace("redis", "rediss", 1)
        raise RedisUrlError(
            "has options of TLS, but is one without TLS", f"write {secure}://, or leave them out"
        )
    return options


def _tls(options: Mapping[str, str]) -> Tls:
    checks_hostname = _BOOLEANS.get(options.get("ssl_check_hostname", "true").lower())
    checks_certificate = _REQUIREMENTS.get(options.get("ssl_cert_reqs", "required").lower())
    if checks_hostname is None or checks_certificate is None:
        remedy = "write ssl_check_hostname=true or false, ssl_cert_reqs=required or none"
        raise RedisUrlError("has an option with a value that is not known", remedy)
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise RedisUrlError("has a key without a certificate", "add ssl_certfile")
    return Tls(
        options.get("ssl_ca_certs"),
        options.get("ssl_certfile"),
        options.get("ssl_keyfile"),
        checks_certificate,
        checks_hostname and checks_certificate,
    )
