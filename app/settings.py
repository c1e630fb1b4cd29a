"""Every setting of the app and the worker: ``HERALD_…`` environment variables, or ``.env`` in the current directory."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, Field, SecretStr, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict, SettingsError

from app import keys
from app.errors import AppError
from automation.redaction import KNOWN
from models.home import HeraldSettings, herald_home

PREFIX = "HERALD_"
Port = Annotated[int, Field(ge=1, le=65_535)]


class SettingsInvalid(AppError):
    """A setting has a value that cannot be used."""

    code = "settings_invalid"


class Settings(HeraldSettings):
    """Validated settings. Each field's description is what the documentation says of its variable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    home: Path = Field(
        default_factory=herald_home, description="Folder of all data: database, evidence, documents, keys."
    )
    host: str = Field("127.0.0.1", description="Address that the app listens on.")
    port: Port = Field(8000, description="Port that the app listens on.")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Comma-separated host names under which the app may be reached, `*` for all. "
        "Without it: localhost names when HERALD_HOST is a loopback address, else all.",
    )
    public_url: str = Field(
        "",
        description="Origin under which browsers reach the app through a proxy, such as `https://herald.example.org`: "
        "links lead there, and cookies are for TLS alone. Its host must be in HERALD_ALLOWED_HOSTS if that is set.",
    )
    inference_port: Port = Field(8001, description="Port of the local inference process.")
    inference_url: str = Field(
        "", description="Origin of an inference server elsewhere; replaces HERALD_INFERENCE_PORT."
    )
    inference_key: SecretStr | None = Field(
        None, description="Key of the inference server; made at first start when unset."
    )
    api_key: SecretStr | None = Field(None, description="Fixed key for programs; made at first start when unset.")
    signup: Literal["auto", "open", "invitation"] = Field(
        "auto",
        description="Who may sign up without an invitation: `open` anybody, `invitation` nobody, "
        "`auto` anybody while HERALD_HOST is a loopback address. Who was not invited sees nobody's projects.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server for links to a new password: `smtp://user:password@host:587` or `smtps://…:465`. "
        "Without it, `herald users reset` prints the link.",
    )
    mail_from: str = Field("herald@localhost", description="Sender of mails.")
    model: str = Field(
        "qwen2.5-coder-1.5b-instruct", min_length=1, description="Language model that writes and proposes."
    )
    embedding_model: str = Field(
        "all-minilm-l6-v2", min_length=1, description="Model that embeds documents and questions."
    )
    allow_private_addresses: bool = Field(
        False, description="Automation may reach loopback and private addresses (tests, intranets)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Log lines; `auto` is console on a terminal."
    )
    max_upload_mb: Annotated[int, Field(ge=1, le=1_000)] = Field(25, description="Largest document, in MiB.")
    max_body_mb: Annotated[int, Field(ge=1, le=100)] = Field(
        4, description="Largest body of any other request, in MiB."
    )
    requests_per_user: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        6_000, description="Requests a minute of one user, and of each API key; 0 for no limit."
    )
    requests_per_address: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        12_000, description="Requests a minute of one address other than this machine's; 0 for no limit."
    )
    clamd: Annotated[str, Field(pattern=r"^$|^unix:/.+$|^.+:\d{1,5}$")] = Field(
        "", description="ClamAV daemon that scans documents: `unix:/path/of/its.sock` or `host:port`. Unset: no scan."
    )
    proposal_expires_h: Annotated[float, Field(gt=0, le=8_760)] = Field(
        24.0, description="Hours after which a proposal that nobody decided expires."
    )

    queue_url: SecretStr | None = Field(
        None,
        description="Redis-compatible server that wakes the workers: `redis://:password@host:6379/0`. Unset: a file "
        "beside the database, which workers look into twice a second.",
    )
    vault_key: SecretStr | None = Field(
        None,
        description="Keys of the vault (URL-safe base64 of 32 bytes, comma-separated; the first one seals) in place of "
        "the file `keys/vault.key`.",
    )
    s3_url: str = Field(
        "",
        description="S3-compatible server, such as `https://s3.example.com`, that keeps the documents' originals in "
        "place of the folder `documents` of the data home. Needs a bucket and its key.",
    )
    s3_bucket: str = Field(
        "", description="Bucket of the documents' originals; Herald does not make it.", validate_default=True
    )
    s3_access_key: SecretStr | None = Field(None, description="Access key of the bucket.", validate_default=True)
    s3_secret_key: SecretStr | None = Field(None, description="Its secret key.", validate_default=True)
    s3_region: str = Field("us-east-1", min_length=1, description="Region, as the server wants it in signatures.")
    s3_prefix: Annotated[str, Field(pattern=r"^([\w-][\w.-]*/)*$", max_length=200)] = Field(
        "", description="Folder in the bucket, such as `herald/`; each box needs one of its own."
    )
    audit_anchor: Path | None = Field(
        None, description="Second file, on another disk or host, that the audit chain's head is written to."
    )
    max_media_mb: Annotated[int, Field(ge=1, le=4_000)] = Field(
        100, description="Largest picture or film that actions publish, in MiB."
    )
    lease_s: Annotated[float, Field(ge=0.5, le=600)] = Field(
        20.0, description="Seconds after which the action of a worker that fell silent is looked after by another."
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lowercased(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [h.strip().lower() for h in value.split(",") if h.strip()] if isinstance(value, str) else value

    @field_validator("inference_url")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        if value:
            TypeAdapter(AnyHttpUrl).validate_python(value)
        return value.rstrip("/").removesuffix("/v1")

    @field_validator("public_url")
    @classmethod
    def _is_bare_origin(cls, value: str) -> str:
        if value and urlsplit(str(TypeAdapter(AnyHttpUrl).validate_python(value))).path not in ("", "/"):
            raise ValueError("must be an origin without a path, such as https://herald.example.org")
        return value.rstrip("/")

    @field_validator("api_key", "inference_key", "vault_key", "s3_access_key", "s3_secret_key")
    @classmethod
    def _is_header_safe(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(33 <= ord(c) <= 126 for c in value.get_secret_value()):
            raise ValueError("must consist of visible ASCII characters without spaces")
        return value

    @field_validator("queue_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return value

    @field_validator("s3_url")
    @classmethod
    def _is_storage(cls, value: str) -> str:
        if not value:
            return value
        url = TypeAdapter(AnyHttpUrl).validate_python(value)
        if (url.path or "/") != "/" or url.query or url.fragment or url.username:
            raise ValueError("must be scheme, host and port alone, such as https://s3.example.com")
        return value.rstrip("/")

    @field_validator("s3_bucket")
    @classmethod
    def _is_bucket(cls, value: str) -> str:
        if value:
            from minio.helpers import check_bucket_name  # here, because few boxes have a bucket

            check_bucket_name(value, strict=True)
        return value

    @field_validator("s3_bucket", "s3_access_key", "s3_secret_key")
    @classmethod
    def _is_given_with_storage(cls, value: str | SecretStr | None, info: ValidationInfo) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if info.data.get("s3_url") and not text:
            raise ValueError(f"{PREFIX}S3_URL is set and needs it")
        return value

    @field_validator("home", "audit_anchor")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @property
    def inference_origin(self) -> str:
        """Where inference is, without ``/v1``."""
        return self.inference_url or f"http://127.0.0.1:{self.inference_port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the app."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def is_signup_open(self) -> bool:
        """Whether one may sign up without an invitation."""
        return self.signup == "open" or (self.signup == "auto" and self.is_loopback)

    @property
    def host_names(self) -> tuple[str, ...]:
        """Host names that a request may be addressed to; empty for all."""
        if self.allowed_hosts:
            return () if "*" in self.allowed_hosts else tuple(self.allowed_hosts)
        return ("127.0.0.1", "localhost", "[::1]", self.host.lower()) if self.is_loopback else ()

    @property
    def link_url(self) -> str:
        """Where the links that people get lead."""
        return self.public_url or self.local_url

    @property
    def public_https_host(self) -> str:
        """The Host header of requests that a proxy with TLS passes on; empty when there is none."""
        parsed = urlsplit(self.public_url)
        return parsed.netloc.lower() if parsed.scheme == "https" else ""

    @property
    def local_url(self) -> str:
        """Where a program or a browser on this machine finds the app."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def max_upload_bytes(self) -> int:
        """Largest document in bytes."""
        return self.max_upload_mb * 1024 * 1024

    @property
    def max_media_bytes(self) -> int:
        """Largest picture or film in bytes."""
        return self.max_media_mb * 1024 * 1024

    @property
    def media_dir(self) -> Path:
        """Folder of what actions publish."""
        return self.home / "media"

    @property
    def max_body_bytes(self) -> int:
        """Largest body of a request that carries no document, in bytes."""
        return self.max_body_mb * 1024 * 1024

    @property
    def evidence_dir(self) -> Path:
        """Folder of all actions' evidence."""
        return self.home / "evidence"

    @property
    def documents_dir(self) -> Path:
        """Folder of the stored documents."""
        return self.home / "documents"

    def api_key_text(self) -> str:
        """The key that programs present."""
        return _remembered(self.api_key) if self.api_key else keys.read_or_create_key(self.home, keys.API_KEY)

    def vault_key_text(self) -> str | None:
        """The vault's keys when the environment gives them, else None: they are in the vault's file."""
        return _remembered(self.vault_key) if self.vault_key else None

    def queue_url_text(self) -> str:
        """Where the queue's server is; empty for the file."""
        return _remembered(self.queue_url) if self.queue_url else ""

    def s3_key_texts(self) -> tuple[str, str]:
        """Access key and secret key of the bucket."""
        access_key, secret_key = (_remembered(k) if k else "" for k in (self.s3_access_key, self.s3_secret_key))
        return access_key, secret_key

    def inference_key_text(self) -> str:
        """The key that the inference server wants."""
        if self.inference_key:
            return _remembered(self.inference_key)
        return keys.read_or_create_key(self.home, keys.INFERENCE_KEY)


def _remembered(key: SecretStr) -> str:
    """The key, which no log shows from now on."""
    KNOWN.remember(*key.get_secret_value().replace(",", " ").split())
    return key.get_secret_value()


def load_settings() -> Settings:
    """Read the environment and ``.env``.

    Raises: SettingsInvalid, which names each variable, its value (never a key's) and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid(
            "; ".join(_problem_text(p) for p in error.errors()),
            hint="Correct it in the environment or in .env; .env.example lists every setting.",
        ) from None
    except SettingsError as error:
        raise SettingsInvalid(str(error)) from None
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsInvalid(
            f"The file .env in {Path.cwd()} cannot be read: {error}.", hint="Save it as UTF-8 text, readable to you."
        ) from None


def _problem_text(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "?"
    is_secret = name in Settings.model_fields and "SecretStr" in str(Settings.model_fields[name].annotation)
    shown = "what it is" if is_secret else repr(problem["input"])
    return f"{PREFIX}{name.upper()} cannot be {shown}: {problem['msg'].removeprefix('Value error, ')}"
