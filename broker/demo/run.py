"""`broker demo`: a broker, a sandbox provider and an app that uses both, in a folder that is removed at the end."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from broker.demo.processes import DidNotStart, Port, Servers, hold_port

EMAIL = "demo@example.com"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PACKAGES = Path(__file__).parents[2]
_KEPT = "BROKER_HTTP_PARSER"


@dataclass(frozen=True, slots=True)
class Plan:
    folder: Path
    broker: Port
    app: Port
    sandbox: Port

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.broker.number}"

    @property
    def app_address(self) -> str:
        return f"http://127.0.0.1:{self.app.number}"

    @property
    def redirect_uri(self) -> str:
        return f"{self.app_address}/callback"

    @property
    def sandbox_address(self) -> str:
        return f"http://127.0.0.1:{self.sandbox.number}"

    def environment(self) -> dict[str, str]:
        """Ours, without the settings and keys of a real broker, of which the demo must know nothing but who reads HTTP."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_") or name == _KEPT}
        return {
            **{name: value for name, value in own.items() if not name.endswith("_API_KEY")},
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGES), own.get("PYTHONPATH")])),
            "BROKER_HOST": "127.0.0.1",
            "BROKER_PORT": str(self.broker.number),
            "BROKER_ISSUER": self.issuer,
            "BROKER_DATA_DIR": str(self.folder / "data"),
            "BROKER_DRAIN_SECONDS": "2",
        }


def main() -> None:
    """Runs until Ctrl-C or SIGTERM; leaves nothing running and nothing on the disk."""
    for number in ENDINGS:  # Ctrl-C, too: a shell may have started us with it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        run_demo()
    except DidNotStart as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nThe demo has ended; nothing is left running.")


def run_demo() -> None:
    with tempfile.TemporaryDirectory(prefix="broker-demo-") as folder, Servers() as servers:
        plan = Plan(Path(folder), hold_port(8080), hold_port(8081), hold_port(8082))
        key, password = f"sk-sandbox-{secrets.token_urlsafe(24)}", secrets.token_urlsafe(12)
        try:
            print("Starting the demo …", flush=True)
            _start_sandbox(plan, key, servers)
            _prepare(plan, key, password)
            _start_broker(plan, servers)
            _start_app(plan, servers)
            print(f"Broker {plan.issuer}")
            print(f"Demo app {plan.app_address}")
            print(f"Sign in  email {EMAIL}  password {password}")
            print("Ctrl-C ends it all.", flush=True)
            servers.watch()
        finally:
            _ignore_signals()  # a second Ctrl-C does not interrupt the cleaning up


def _start_sandbox(plan: Plan, key: str, servers: Servers) -> None:
    plan.sandbox.give_up()
    environment = {**plan.environment(), "SANDBOX_KEYS": key, "DEMO_PORT": str(plan.sandbox.number)}
    servers.start("sandbox", ["broker.demo.sandbox"], environment, plan.folder, f"{plan.sandbox_address}/v1/models")


def _start_broker(plan: Plan, servers: Servers) -> None:
    plan.broker.give_up()
    servers.start("broker", ["broker", "serve"], plan.environment(), plan.folder, f"{plan.issuer}/health/ready")


def _start_app(plan: Plan, servers: Servers) -> None:
    told = _command(plan, "client", "add", "Demo Notes", "--redirect-uri", plan.redirect_uri, "--json")
    client = json.loads(told)
    environment = {
        **plan.environment(),
        "DEMO_PORT": str(plan.app.number),
        "DEMO_ISSUER": plan.issuer,
        "DEMO_CLIENT_ID": client["client_id"],
        "DEMO_CLIENT_SECRET": client["client_secret"],
        "DEMO_REDIRECT_URI": plan.redirect_uri,
    }
    plan.app.give_up()
    servers.start("demo app", ["broker.demo.app"], environment, plan.folder, f"{plan.app_address}/health")


def _prepare(plan: Plan, key: str, password: str) -> None:
    """One user, who has a key of the sandbox, as an operator would set them up."""
    _command(plan, "user", "add", EMAIL, "--password-stdin", said=password)
    _command(plan, "provider", "add", "sandbox", "--dialect", "openai", "--base-url", plan.sandbox_address)
    _command(plan, "key", "add", "--provider", "sandbox", "--user", EMAIL, said=key)


def _command(plan: Plan, *words: str, said: str = "") -> str:
    """Runs one command of the broker, with what it is told on its standard input; gives what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "broker", *words],
        env=plan.environment(),
        cwd=plan.folder,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise DidNotStart(f"broker {' '.join(words)}: {ran.stderr.strip()}")
    return ran.stdout


def _ignore_signals() -> None:
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
