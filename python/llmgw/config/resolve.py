"""How references in the raw tables are resolved: secrets, URLs and paths."""

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from llmgw.config.faults import Fault
from llmgw.config.files import FileError, read_file
from llmgw.config.otel import OTEL_EXTRA, has_opentelemetry
from llmgw.config.redis_url import RedisUrl, RedisUrlError, with_files
from llmgw.config.tables import DEFAULT_STORE_URL, MAX_ACCOUNTS, POSTGRESQL_PREFIX, SQLITE_PREFIX

MAX_SECRET_BYTES: Final = 65_536
"""Of a file with a secret."""
MAX_CERTIFICATES_BYTES: Final = 4 * 1024 * 1024
"""Of a file with certificates, such as all that a system trusts."""
_ENDPOINTS: Final = ("/chat/completions", "/embeddings", "/rerank")
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FOREIGN: Final = re.compile(
    r"\$\{?([A-Za-z_]\w*)\}?|os\.environ/([A-Za-z_]\w*)|(?!env)(?i:env):([A-Za-z_]\w*)", re.ASCII
)
"""How other programs refer to a variable; taken for a key, it would be refused at the first request."""
_PLAIN_PATH: Final = re.compile(r"[\w./~+-]+")
_LOOKS_SECRET: Final = re.compile(r"^sk[-_]|(?=[A-Za-z]*\d)[A-Za-z0-9]{20,}", re.ASCII)
"""What may be a key that was written after `env:` or `file:` by mistake: its prefix, or a long random run."""
_HEADER: Final = r"[ ]*[A-Za-z0-9!#$%&'*+.^_`|~-]+[ ]*=[ !-+\--~]*"
_HEADERS: Final = re.compile(f"{_HEADER}(?:,{_HEADER})*")
_NATIVE_URLS: Final = {
    "messages_url": "https://host/anthropic/v1/messages",
    "responses_url": "https://host/v1/responses",
}
_POSTGRESQL_SCHEMES: Final = frozenset(
    {"postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"}
)


class Resolver:
    """Resolves secrets, URLs and paths, and collects what can't be resolved as faults.

    Values of the wrong type stay as they are: pydantic reports them.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None, faults: list[Fault]) -> None:
        self._folder = folder
        self._environ = environ
        self._faults = faults

    def resolve(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the tables with everything resolved."""
        resolved = dict(data)
        store = resolved.get("store", {})
        if isinstance(store, dict) and isinstance(url := store.get("url", DEFAULT_STORE_URL), str):
            resolved["store"] = store | {"url": self._store_url(url)}
        ledger = resolved.get("ledger")
        if isinstance(ledger, dict) and isinstance(journal := ledger.get("journal"), str) and journal:
            resolved["ledger"] = ledger | {"journal": str(self._folder / Path(journal).expanduser())}
        cache = resolved.get("cache")
        if isinstance(cache, dict) and isinstance(url := cache.get("url"), str):
            resolved["cache"] = cache | {"url": self._cache_url(url)}
        alerts = resolved.get("alerts")
        if isinstance(alerts, dict):
            resolved["alerts"] = self._alerts(alerts)
        otel = resolved.get("otel")
        if isinstance(otel, dict):
            resolved["otel"] = self._otel(otel)
        admin = resolved.get("admin")
        if isinstance(admin, dict) and admin.get("enabled") is True and not _has("fastapi"):
            remedy = "install llmgw[admin], or leave the line out"
            self._fault("admin.enabled", "the package fastapi is not installed", remedy)
        upstreams = resolved.get("upstreams")
        if isinstance(upstreams, dict):
            resolved["upstreams"] = {
                name: self._upstream(f"upstreams.{name}", table) if isinstance(table, dict) else table
                for name, table in upstreams.items()
            }
        return resolved

    def _fault(self, path: str, problem: str, remedy: str) -> None:
        self._faults.append(Fault(path, problem, remedy))

    def _store_url(self, written: str) -> str:
        path = "store.url"
        url: str | None = written
        if written.startswith(("env:", "file:")):
            # Also for commands that need no other secret: all need the database.
            url = self._referred(path, written, os.environ if self._environ is None else self._environ)
        if url is None:
            return written
        if url.startswith(POSTGRESQL_PREFIX):
            self._check_postgresql(path, url)
            return url
        file = url.removeprefix(SQLITE_PREFIX)
        if file == url or not file or file == ":memory:" or "?" in file:
            scheme, is_url, _ = url.partition("://")
            if is_url and scheme in _POSTGRESQL_SCHEMES:
                right = f'write "{POSTGRESQL_PREFIX}…": psycopg is the driver that llmgw[postgres] brings'
                self._fault(path, "does not name the driver", right)
                return url
            right = f'write "{DEFAULT_STORE_URL}" (beside this file) or "sqlite:////absolute/path.db"'
            problem = "is not the URL of a SQLite file"
            if is_url and scheme != "sqlite":
                problem = "is the URL of neither a SQLite file nor a PostgreSQL server"
                right = f'{right}, or "{POSTGRESQL_PREFIX}user:password@host/database"'
            self._fault(path, problem, right)
            return url
        return SQLITE_PREFIX + str(self._folder / file)

    def _check_postgresql(self, path: str, url: str) -> None:
        """What is wrong is not said in libpq's words: they may show the password."""
        if not _has("psycopg"):
            self._fault(path, "the package psycopg is not installed", "install llmgw[postgres]")
            return
        from psycopg import Error, conninfo  # noqa: PLC0415  (the driver is an extra)

        try:
            conninfo.conninfo_to_dict("postgresql://" + url.removeprefix(POSTGRESQL_PREFIX))
        except Error:
            right = f'write it like "{POSTGRESQL_PREFIX}user:password@host:5432/database", special characters'
            self._fault(path, "is not the URL of a PostgreSQL server", f'{right} as %XX, or "env:NAME"')

    def _cache_url(self, reference: str) -> SecretStr | None:
        path = "cache.url"
        if not _has("redis"):
            problem = "the package redis is not installed"
            self._fault(path, problem, "install llmgw[redis], or leave the line out")
        if self._environ is None:
            return None
        url = self._referred(path, reference, self._environ)
        if url is None:
            return None
        try:
            return SecretStr(self._with_files(path, url))
        except RedisUrlError as error:
            self._fault(path, error.problem, error.remedy)
            return SecretStr(url)

    def _with_files(self, path: str, url: str) -> str:
        """A Redis URL with the absolute paths of its files, which are looked at. Raises RedisUrlError."""
        files = {}
        for option, name in RedisUrl.parse(url).files():
            try:
                file = self._folder / Path(name).expanduser()
                read_file(file, max_bytes=MAX_CERTIFICATES_BYTES)
                files[option] = str(file)
            except (FileError, RuntimeError) as error:  # RuntimeError: ~ of an unknown user
                reason = error if isinstance(error, FileError) else _REASONS[type(error)]
                shown = _shown(name) if _PLAIN_PATH.fullmatch(name) else _UNSHOWN
                problem = f"the file {shown} of {option} can't be read ({reason})"
                self._fault(path, problem, "check its path and permissions")
        return with_files(url, files) if files else url

    def _alerts(self, table: dict[str, Any]) -> dict[str, Any]:
        resolved = dict(table)
        for name in ("url", "secret"):
            if isinstance(reference := table.get(name), str):
                path, value = f"alerts.{name}", None
                if self._environ is not None:
                    value = self._referred(path, reference, self._environ)
                if value is not None and name == "url":
                    self._check_webhook(path, value)
                resolved[name] = None if value is None else SecretStr(value)
        return resolved

    def _otel(self, table: dict[str, Any]) -> dict[str, Any]:
        resolved = dict(table)
        if isinstance(endpoint := table.get("endpoint"), str) and endpoint:
            path = "otel.endpoint"
            if not has_opentelemetry():
                remedy = f"install {OTEL_EXTRA}, or leave the line out"
                self._fault(path, "OpenTelemetry is not installed", remedy)
            self._url(path, endpoint, right='write it like "http://127.0.0.1:4318"', secrets="otel.headers")
        if isinstance(reference := table.get("headers"), str):
            path, headers = "otel.headers", None
            if self._environ is not None:
                headers = self._referred(path, reference, self._environ)
            if headers is not None and not _HEADERS.fullmatch(headers):
                right = 'write them like "authorization=Bearer abc,x-team=a", or "env:NAME"'
                self._fault(path, "is not a list of headers", right)
            resolved["headers"] = None if headers is None else SecretStr(headers)
        return resolved

    def _check_webhook(self, path: str, url: str) -> None:
        """Its path and query may be secrets, and so is shown nowhere."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a bad port or a bad IPv6 address
            usable = False
        if not usable or not url.isascii() or not url.isprintable() or " " in url:
            right = 'write it like "https://host/hook", or "env:NAME"'
            self._fault(path, "is not an http or https URL", right)

    def _upstream(self, path: str, table: dict[str, Any]) -> dict[str, Any]:
        resolved = dict(table)
        if isinstance(url := table.get("base_url"), str):
            resolved["base_url"] = self._base_url(f"{path}.base_url", url)
        if isinstance(elsewhere := table.get("rerank_url"), str):
            resolved["rerank_url"] = self._rerank_url(f"{path}.rerank_url", elsewhere, url)
        for name, like in _NATIVE_URLS.items():
            if isinstance(url := table.get(name), str):
                self._native_url(f"{path}.{name}", url, like)
        if isinstance(reference := table.get("api_key"), str):
            secret = None
            if self._environ is not None:
                secret = self._secret(f"{path}.api_key", reference, self._environ)
            resolved["api_key"] = SecretStr(secret) if secret is not None else None
        if isinstance(references := table.get("api_keys"), list):
            resolved["api_keys"] = self._accounts(f"{path}.api_keys", references)
            if "api_key" in table:
                self._fault(f"{path}.api_keys", "is set beside api_key", "put all keys into api_keys")
        return resolved

    def _accounts(self, path: str, references: list[object]) -> list[object]:
        """Each key as a secret. Two of the same would count one account's places and rates twice."""
        if len(references) > MAX_ACCOUNTS:
            right = f"name {MAX_ACCOUNTS} at most, and the others at an upstream of their own"
            self._fault(path, f"has {len(references)} keys", right)
            return references
        resolved: list[object] = []
        first_at: dict[str, int] = {}
        for index, reference in enumerate(references):
            if not isinstance(reference, str):
                resolved.append(reference)
                continue
            secret, at = None, f"{path}[{index}]"
            if self._environ is not None:
                secret = self._secret(at, reference, self._environ)
            first = index if secret is None else first_at.setdefault(secret, index)
            if first != index:
                self._fault(at, f"is the same key as api_keys[{first}]", "name each account once")
            resolved.append(None if secret is None else SecretStr(secret))
        return resolved

    def _base_url(self, path: str, url: str) -> str:
        parts = self._url(path, url, right='write it like "https://host/v1"')
        if parts is not None:
            for endpoint in _ENDPOINTS:
                if parts.path.rstrip("/").endswith(endpoint):
                    self._fault(path, "names an endpoint", f"leave out {endpoint}: the gateway adds it")
        return url.rstrip("/")

    def _rerank_url(self, path: str, url: str, base_url: object) -> str:
        parts = self._url(path, url, right='write it like "https://host/v1/rerank"')
        if parts is not None and isinstance(base_url, str):
            try:
                base = urlsplit(base_url)
            except ValueError:  # a bad IPv6 address, which `_base_url` has reported
                return url
            if (parts.scheme, parts.netloc.lower()) != (base.scheme, base.netloc.lower()):
                right = "give it an upstream of its own: an upstream's connections all go to one host"
                self._fault(path, "is on another host than base_url", right)
        return url

    def _native_url(self, path: str, url: str, like: str) -> None:
        parts = self._url(path, url, right=f'write it like "{like}"')
        end = like[like.rindex("/") :]
        if parts is not None and not parts.path.endswith(end):
            problem = f"does not end with {end}, so it is no endpoint"
            self._fault(path, problem, f'write all of it, like "{like}": nothing is added')

    def _url(self, path: str, url: str, *, right: str, secrets: str = "api_key") -> SplitResult | None:
        """The parts of a URL that has no secret in it. None: it has a fault, which is reported."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a bad port or a bad IPv6 address
            usable = False
            parts = urlsplit("")
        if not usable or any(character.isspace() for character in url):
            self._fault(path, "is not an http or https URL", right)
        elif parts.username is not None or parts.password is not None:
            self._fault(path, "carries credentials", f"put the secret into {secrets} and {right}")
        elif parts.query or parts.fragment:
            self._fault(path, "has a query or a fragment", right)
        else:
            return parts
        return None

    def _secret(self, path: str, reference: str, environ: Mapping[str, str]) -> str | None:
        secret = self._referred(path, reference, environ)
        if secret is not None and not (secret.isascii() and secret.isprintable() and " " not in secret):
            self._fault(path, "can't stand in a header", "a key is one word of visible ASCII characters")
            return None
        return secret

    def _referred(self, path: str, reference: str, environ: Mapping[str, str]) -> str | None:
        if foreign := _FOREIGN.fullmatch(reference.strip()):
            name = next(filter(None, foreign.groups()))
            self._fault(path, "is written as for another program", f'write "env:{name}"')
            return None
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._variable(path, name, environ)
        if kind == "file":
            return self._file(path, name)
        secret = reference.strip()
        if not secret:
            self._fault(path, "is empty", 'write "env:NAME", "file:PATH" or the key, or leave it out')
        return secret or None

    def _variable(self, path: str, name: str, environ: Mapping[str, str]) -> str | None:
        secret = environ.get(name, "").strip()
        if secret:
            return secret
        if _VARIABLE.fullmatch(name) is None:
            remedy = 'write "env:NAME", or the key itself without env:'
            self._fault(path, "what follows env: is not the name of a variable", remedy)
            return None
        state = "empty" if name in environ else "not set"
        self._fault(path, f"the environment variable {_shown(name)} is {state}", "set it before the start")
        return None

    def _file(self, path: str, name: str) -> str | None:
        shown = _shown(name) if _PLAIN_PATH.fullmatch(name) else _UNSHOWN
        try:
            file = self._folder / Path(name).expanduser()
            secret = read_file(file, max_bytes=MAX_SECRET_BYTES).decode("utf-8").strip()
        except (FileError, UnicodeDecodeError, RuntimeError) as error:  # RuntimeError: ~ of an unknown user
            reason = error if isinstance(error, FileError) else _REASONS[type(error)]
            self._fault(path, f"the file {shown} can't be read ({reason})", "check its path and permissions")
            return None
        if not secret:
            self._fault(path, f"the file {shown} is empty", "put the key into it")
        return secret or None


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


_UNSHOWN: Final = "that it names"
_REASONS: Final = {
    UnicodeDecodeError: "it is not UTF-8 text",
    RuntimeError: "there is no such user",
}


def _shown(name: str) -> str:
    """The name in quotes, unless it may be a secret: faults are printed and logged."""
    return _UNSHOWN if _LOOKS_SECRET.search(name) else repr(name)
