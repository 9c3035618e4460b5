"""Who is measured beside Broker, and how each of them is set up: as its own manual says, with one worker."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loading import Target
from tests.bench.programs import BUILT, CHECKOUT, bare_environment, free_port, started

MASTER_KEY = "sk-bench-master"
LITELLM = BUILT / "litellm" / "bin" / "litellm"
PORTKEY = BUILT / "portkey" / "node_modules" / "@portkey-ai" / "gateway"

Start = Callable[[Path, int], AbstractContextManager[Target]]
"""In a folder of its own, before the provider on this port."""


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    start: Start
    missing: Callable[[], str | None] = lambda: None
    """What to install where it is not there."""
    version: Callable[[], str] = lambda: ""


@contextmanager
def _direct(_folder: Path, provider: int) -> Iterator[Target]:
    yield Target(provider)


def _module(name: str) -> Start:
    @contextmanager
    def start(folder: Path, provider: int) -> Iterator[Target]:
        port = free_port()
        command = [sys.executable, "-m", name, str(port), f"http://127.0.0.1:{provider}"]
        with started(command, folder, port, bare_environment(PYTHONPATH=str(CHECKOUT))) as process:
            yield Target(port, (process.pid,), head=("authorization: Bearer sk-bench",))

    return start


_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_buffering off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      {auth}
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-real";
      proxy_pass http://provider;
    }}
    location = /auth {{
      internal;
      proxy_pass http://provider;
      proxy_method GET;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }}
  }}
}}
"""


def _nginx(*, auth: bool) -> Start:
    @contextmanager
    def start(folder: Path, provider: int) -> Iterator[Target]:
        port, config = free_port(), folder / "nginx.conf"
        folder.mkdir(parents=True, exist_ok=True)
        directive = "auth_request /auth;" if auth else ""
        config.write_text(_NGINX.format(folder=folder, port=port, provider=provider, auth=directive))
        with started(["nginx", "-p", folder, "-c", config], folder, port) as process:
            yield Target(port, (process.pid,), head=("authorization: Bearer sk-bench",))

    return start


@contextmanager
def _litellm(folder: Path, provider: int) -> Iterator[Target]:
    port, config = free_port(), folder / "config.yaml"
    route = {"model": "openai/gpt-4o-mini", "api_base": f"http://127.0.0.1:{provider}/v1", "api_key": "sk-real"}
    wanted = {
        "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": route}],
        "general_settings": {"master_key": MASTER_KEY},
        "litellm_settings": {"telemetry": False, "set_verbose": False},
    }
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(wanted))  # JSON is YAML
    command: list[str | Path] = [
        LITELLM,
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    quiet = bare_environment(LITELLM_LOG="ERROR", LITELLM_LOCAL_MODEL_COST_MAP="True", DISABLE_ADMIN_UI="True")
    with started(command, folder, port, quiet) as process:
        yield Target(port, (process.pid,), head=(f"authorization: Bearer {MASTER_KEY}",))


@contextmanager
def _portkey(folder: Path, provider: int) -> Iterator[Target]:
    port = free_port()
    command: list[str | Path] = ["node", PORTKEY / "build" / "start-server.js", f"--port={port}", "--headless"]
    head = (
        "authorization: Bearer sk-real",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{provider}/v1",
    )
    with started(command, folder, port, bare_environment(NODE_ENV="production")) as process:
        yield Target(port, (process.pid,), head=head)


def _needs(program: str | Path) -> Callable[[], str | None]:
    return lambda: None if shutil.which(program) or Path(program).is_dir() else "not installed: make bench-peers"


def _nginx_version() -> str:
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    return told.stderr.strip().rpartition("/")[2]


def _litellm_version() -> str:
    (found,) = LITELLM.parents[1].glob("lib/*/site-packages/litellm-*.dist-info")
    return found.name.removeprefix("litellm-").removesuffix(".dist-info")


def _portkey_version() -> str:
    return str(json.loads((PORTKEY / "package.json").read_text())["version"])


OTHERS = (
    Peer("direct", _direct),
    Peer("nginx", _nginx(auth=False), _needs("nginx"), _nginx_version),
    Peer("nginx auth_request", _nginx(auth=True), _needs("nginx"), _nginx_version),
    Peer("bare passthrough", _module("tests.bench.passthrough")),
    Peer("stock passthrough", _module("tests.bench.stock")),
    Peer("LiteLLM", _litellm, _needs(LITELLM), _litellm_version),
    Peer("Portkey", _portkey, _needs(PORTKEY), _portkey_version),
)
