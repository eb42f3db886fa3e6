"""nginx as a plain reverse proxy: what it costs to pass bytes on and do nothing else."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.gateway.peers.base import Launch, run
from benches.gateway.processes import LOCALHOST, BenchError, free_port

# Everything that nginx would write goes to the folder of the run.
_CONFIG: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  tcp_nodelay on;
  keepalive_requests 10000000;
  client_max_body_size 32m;
  upstream mock {{
    server {host}:{upstream_port};
    keepalive 1024;
    keepalive_requests 10000000;
  }}
  server {{
    listen {host}:{port} backlog=4096;
    location = /healthz {{ return 200; }}
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """Debian's nginx."""

    name: str = "nginx"
    settings: str = (
        "`proxy_pass`, one worker; upstream keep-alive, HTTP/1.1, `proxy_buffering off`, `access_log off` "
        "([upstream module](https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive), "
        "[proxy module](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)), and "
        "`proxy_request_buffering off`, which saves it a copy of long bodies. No keys, no ledger: the floor"
    )

    def absent(self) -> str | None:
        """Debian puts it outside of an ordinary user's PATH."""
        return None if _program() else "no nginx on this machine (Debian: apt-get install nginx-core)"

    def install(self) -> None:
        """Packages of the system are for the administrator to install. Raises BenchError."""
        if reason := self.absent():
            raise BenchError(reason)

    def version(self) -> str:
        """As it says itself."""
        return run([_program() or "nginx", "-v"]).strip().rpartition("/")[2]

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """One config file."""
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(folder=folder, host=LOCALHOST, port=port, upstream_port=upstream_port)
        )
        return Launch(
            command=[_program() or "nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)],
            port=port,
            health="/healthz",
        )


def _program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
