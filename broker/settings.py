"""Settings, read once from BROKER_* and .env; start fails with one line of everything wrong."""

import os
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, PlainValidator, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from broker.core.errors import CannotStart
from broker.core.inside import read_inside
from broker.core.money import MicroUSD, parse_decimal
from broker.core.secret import Secret

ENV_FILE = ".env"

Positive = Annotated[int, Field(ge=1)]
Dollars = Annotated[MicroUSD, Field(gt=0)]


def _sealed(value: object) -> Secret:
    return value if isinstance(value, Secret) else Secret(str(value))


class Settings(BaseSettings):
    """Every setting with its default; seconds, bytes and micro-dollars as the names say."""

    model_config = SettingsConfigDict(env_prefix="BROKER_", env_file=ENV_FILE, extra="ignore", frozen=True)

    issuer: str = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    http_parser: Literal["httptools", "h11"] = "httptools"
    data_dir: Path = Path("data")
    database_url: Annotated[Secret, PlainValidator(_sealed)] = Secret("")
    sqlite_synchronous: Literal["full", "normal"] = "full"
    master_key_file: Path | None = None
    behind_tls_proxy: bool = False
    metrics_token: Annotated[Secret, PlainValidator(_sealed)] = Secret("")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    instance_name: str = "Broker"
    contact: str = "the people who run this server"
    signing_algorithm: Literal["ES256", "EdDSA"] = "ES256"
    client_registration: bool = False
    client_documents: bool = True

    code_seconds: Positive = 60
    access_token_seconds: Positive = 3600
    refresh_token_seconds: Positive = 2_592_000
    dpop_window_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    dpop_nonce: bool = False
    refresh_grace_seconds: Annotated[int, Field(ge=0, le=60)] = 0
    par_seconds: Positive = 90
    require_pushed: bool = False
    consent_seconds: Positive = 600
    device_grant: bool = True
    device_seconds: Positive = 600
    device_poll_seconds: Positive = 5
    exchange_depth: Annotated[int, Field(ge=0, le=8)] = 3
    exchange_tokens: Positive = 100
    session_idle_seconds: Positive = 43_200
    session_max_seconds: Positive = 604_800
    call_lease_seconds: Positive = 30
    call_heartbeat_seconds: Positive = 5
    drain_seconds: Positive = 30
    max_body_bytes: Positive = 33_554_432
    max_header_bytes: Positive = 16_384
    sign_in_tries: Positive = 10
    sign_in_tries_address: Positive = 100
    oauth_requests_a_minute: Positive = 6000
    client_registrations_address: Positive = 20
    most_unused_clients: Positive = 1000
    upstream_connect_seconds: Positive = 10
    upstream_first_byte_seconds: Positive = 600
    upstream_silence_seconds: Positive = 120

    default_budget: Dollars = MicroUSD(5_000_000)
    default_days: Positive = 7
    max_budget: Dollars = MicroUSD(50_000_000)
    max_days: Positive = 90
    default_output_tokens: Positive = 4096
    operator_keys: Literal["admins", "everyone", "nobody"] = "admins"
    user_servers: bool = False
    user_servers_inside: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("default_budget", "max_budget", mode="before")
    @classmethod
    def _dollars(cls, value: object) -> object:
        if isinstance(value, str):
            amount = parse_decimal(value)
            if amount is None:
                raise ValueError("must be an amount of dollars, such as 5.00")
            return amount
        return value

    @field_validator("trusted_proxies", "allowed_hosts", "user_servers_inside", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(_problems(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def public_url(self) -> str:
        """The issuer: a string without a trailing slash, exactly as clients compare it."""
        return self.issuer or f"http://127.0.0.1:{self.port}"

    @property
    def resource(self) -> str:
        return f"{self.public_url}/proxy"

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def heartbeat_seconds(self) -> float:
        """At least three beats a lease, however short a lease was set."""
        return min(self.call_heartbeat_seconds, self.call_lease_seconds / 3)

    @property
    def is_on_postgresql(self) -> bool:
        return bool(self.database_url.reveal())

    @property
    def database_file(self) -> Path:
        return self.data_dir / "broker.db"

    @property
    def key_file(self) -> Path:
        return self.master_key_file or self.data_dir / "master.key"


def load_settings(**overrides: object) -> Settings:
    """Raises CannotStart with one line of everything wrong, each with the variable that it is about."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise CannotStart("; ".join(_said(problem["loc"], problem["msg"]) for problem in error.errors())) from None
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"{ENV_FILE} cannot be read: {error}") from None


def environment() -> Mapping[str, str]:
    """The environment with .env below it: the operator's keys of providers stand there, and are settings of nobody."""
    below = {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}
    return below | os.environ


def _said(place: tuple[int | str, ...], message: str) -> str:
    """Without a place it is what `_problems` says, which names its variables by itself."""
    said = message.removeprefix("Value error, ")
    return f"BROKER_{'_'.join(str(part) for part in place).upper()}: {said}" if place else said


def _problems(settings: Settings) -> list[str]:
    try:
        url = urlsplit(settings.public_url)
    except ValueError as error:
        return [f"BROKER_ISSUER is no address: {error}"]
    problems = []
    if settings.issuer.endswith("/") or any(mark in settings.issuer for mark in "?#@\\ \t\r\n"):
        problems.append("BROKER_ISSUER must be an address without trailing slash, query, fragment or user")
    elif url.netloc and url.path:
        problems.append(
            "BROKER_ISSUER must be an address without a path: pages and endpoints stand at the root of a host"
        )
    if url.scheme not in ("http", "https") or not url.hostname:
        problems.append("BROKER_ISSUER must begin with https:// (or http:// on this computer)")
    elif url.scheme == "http" and not is_loopback(url.hostname):
        problems.append("BROKER_ISSUER must be https unless it is on this computer")
    has_tls = settings.tls_cert is not None and settings.tls_key is not None
    if not is_loopback(settings.host) and not (has_tls or settings.behind_tls_proxy):
        problems.append(
            "BROKER_HOST is not on this computer: set BROKER_TLS_CERT and BROKER_TLS_KEY, or BROKER_BEHIND_TLS_PROXY=true"
        )
    if has_tls and url.scheme == "http":
        problems.append("BROKER_ISSUER must begin with https:// where BROKER_TLS_CERT is set")
    if settings.behind_tls_proxy and not settings.trusted_proxies:
        problems.append("BROKER_BEHIND_TLS_PROXY needs BROKER_TRUSTED_PROXIES, the addresses of that proxy")
    strange = [text for text in settings.trusted_proxies if not _is_network(text)]
    if strange:
        problems.append(f"BROKER_TRUSTED_PROXIES: {strange[0]!r} is no address and no network")
    try:
        read_inside(settings.user_servers_inside)
    except ValueError as error:
        problems.append(f"BROKER_USER_SERVERS_INSIDE: {error}")
    if (settings.tls_cert is None) != (settings.tls_key is None):
        problems.append("BROKER_TLS_CERT and BROKER_TLS_KEY go together")
    if settings.is_on_postgresql and not is_address_of_postgresql(settings.database_url.reveal()):
        problems.append(
            "BROKER_DATABASE_URL must be postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE (empty, it is SQLite's file)"
        )
    return problems


def is_address_of_postgresql(text: str) -> bool:
    """Whether it is a whole postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme == "postgresql+asyncpg" and len(parts.path) > 1 and not parts.fragment


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
