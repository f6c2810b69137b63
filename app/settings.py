"""Typed settings: `ragloom.toml`, then `RAGLOOM_*` variables, then flags; unknown keys are errors.

Every setting has bounds and a description; the reference page of the settings is made from them.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.engine.problems import Problem, RagloomError
from app.engine.unfit import unfit

ENV_PREFIX = "RAGLOOM_"
#: Names the settings file; read before the settings themselves.
CONFIG_VARIABLE = "RAGLOOM_CONFIG"
#: Variables of the test suite (where its services are), not settings.
TEST_PREFIX = "RAGLOOM_TEST_"
#: Variables that hold secrets of workflows' requests, by the name behind it; not settings.
SECRET_PREFIX = "RAGLOOM_SECRET_"  # noqa: S105  # a prefix, no secret
DEFAULT_FILE = "ragloom.toml"
_HOST_PATTERN = re.compile(
    r"\*(:\d{1,5})?|(\*\.)?[\w-]+(\.[\w-]+)*\.?(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?|[0-9a-f:.]*:[0-9a-f:.]+",
    re.IGNORECASE,
)


class InvalidSettings(RagloomError):
    """A settings file, variable or flag that cannot be used; `problems` names each."""

    code = "invalid_settings"


class Settings(BaseSettings):
    """Everything that can be set; read with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", env_ignore_empty=True, validate_default=True
    )

    # The server
    host: str = Field("127.0.0.1", min_length=1, description="Address the server listens on.")
    port: int = Field(
        8080, ge=0, le=65535, description="Port the server listens on; 0 takes a free one."
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        [],
        description="Host names the server answers to besides loopback and `host`; as a "
        "variable, separated by commas.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important messages that are logged."
    )
    api_key: SecretStr | None = Field(
        None,
        min_length=1,
        description="First API key; without it a random one is made and printed once.",
    )
    session_days: int = Field(
        30, ge=1, le=365, description="Days a browser stays signed in after using its link."
    )

    # Where things are kept
    data: Path = Field(
        Path("data"), description="Folder of the database, indexes, original files and models."
    )
    demo: bool = Field(
        True, description="Fill an empty data folder with the demonstration documents."
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the database; SQLite in the data folder by default."
    )
    chroma_url: str | None = Field(
        None, description="URL of a Chroma server; Chroma in the data folder by default."
    )

    # Uploads
    max_upload_mb: int = Field(
        100, ge=1, le=10_000, description="Largest file that can be uploaded, in MB."
    )
    max_request_mb: int = Field(
        1_000, ge=1, le=100_000, description="Largest upload of several files together, in MB."
    )
    max_files: int = Field(
        1_000, ge=1, le=100_000, description="Most files that can be uploaded at once."
    )
    upload_wait_s: float = Field(
        30.0,
        ge=0,
        le=600,
        description="Seconds an upload waits for its documents before it answers with a job.",
    )

    # Reading documents
    parse_workers: int = Field(
        2, ge=1, le=64, description="Processes that read documents at the same time."
    )
    parse_timeout_s: float = Field(
        120.0, ge=1, le=3_600, description="Seconds reading one document may take."
    )
    parse_memory_mb: int = Field(
        1_536, ge=256, le=65_536, description="Memory reading one document may take, in MB."
    )
    max_pages: int = Field(
        5_000, ge=1, le=100_000, description="Most pages, slides or sheets of one document."
    )
    max_text_mb: int = Field(
        50, ge=1, le=2_000, description="Most text taken out of one document, in MB."
    )
    ingest_workers: int = Field(
        6, ge=1, le=64, description="Documents on their way into knowledge bases at once."
    )
    ingest_timeout_s: float = Field(
        3_600.0, ge=10, le=86_400, description="Seconds one document may take to be indexed."
    )

    # Models
    embedding_model: str = Field(
        "default",
        min_length=1,
        description="Embedding model of new knowledge bases; “default” is the embedded one.",
    )
    allow_downloads: bool = Field(
        False, description="Whether a model that is not on this machine may be fetched from a hub."
    )

    # Searching and running
    max_query_chars: int = Field(
        4_000, ge=10, le=100_000, description="Longest query, in characters."
    )
    max_workflow_mb: int = Field(
        10, ge=1, le=100, description="Largest workflow file that can be imported, in MB."
    )
    run_timeout_s: float = Field(
        600.0, ge=1, le=86_400, description="Seconds a run of a workflow may take."
    )
    max_concurrent_runs: int = Field(
        8, ge=1, le=1_000, description="Runs at the same time; further ones wait."
    )
    max_run_memory_mb: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Memory that runs may take together, in MB; above it, the step at work while "
        "it grew is stopped. 0 stands for half of what the machine, or the container, has.",
    )
    cache_mb: int = Field(
        64, ge=0, le=10_000, description="Memory for results of earlier runs, in MB."
    )

    # Where documents are imported from
    import_roots: Annotated[list[Path] | None, NoDecode] = Field(
        None,
        max_length=200,
        description="Folders whose files, and those of the folders in them, knowledge bases may "
        "import; as a variable, separated by commas. By default your home folder while the server "
        "listens on loopback only, otherwise none.",
    )

    # Requests that workflows send
    http_allow: Annotated[list[str], NoDecode] = Field(
        [],
        max_length=200,
        description="Public hosts that workflows may send requests to, such as api.example.com, "
        "*.example.com or example.com:8443; “*” stands for every public host. Without a port, 80 "
        "and 443 are meant; without an entry, nothing is allowed. As a variable, separated by "
        "commas.",
    )
    http_allow_private: Annotated[list[str], NoDecode] = Field(
        [],
        max_length=200,
        description="Hosts on this machine or in the private network that workflows may send "
        "requests to, such as localhost:11434 or 192.168.1.20:8000; as a variable, separated by "
        "commas.",
    )

    # How long things are kept
    retention_days: int = Field(
        30, ge=1, le=3_650, description="Days the history of runs and batches is kept."
    )
    retention_runs: int = Field(
        5_000,
        ge=10,
        le=1_000_000,
        description="Most runs kept in the history. Of batches, the latest with 100,000 rows "
        "together are kept.",
    )
    retention_mb: int = Field(
        2_048, ge=10, le=1_000_000, description="Most space the history of runs takes, in MB."
    )
    step_output_kb: int = Field(
        64,
        ge=1,
        le=10_240,
        description="Inputs and outputs of a step larger than this, in KB, are kept as files.",
    )

    @field_validator(
        "allowed_hosts", "http_allow", "http_allow_private", "import_roots", mode="before"
    )
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [item.strip() for item in value.split(",") if item.strip()]
        return value

    @field_validator("import_roots")
    @classmethod
    def _whole_paths(cls, value: list[Path] | None) -> list[Path] | None:
        for path in value or ():
            if not path.expanduser().is_absolute():
                raise ValueError(f"“{path}” is not a whole path, such as /srv/documents")
        return value

    @field_validator("http_allow", "http_allow_private")
    @classmethod
    def _host_patterns(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for entry in value:
            if entry == "*" and info.field_name == "http_allow_private":
                raise ValueError("“*” is not allowed here; name each host")
            if not _HOST_PATTERN.fullmatch(entry):
                raise ValueError(
                    f"“{entry}” is not a host, *.domain or address, with or without a :port"
                )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands in: it reads file and variables itself."""
        return (init_settings,)

    @property
    def allowed_roots(self) -> list[Path]:
        """Folders that may be imported from, with what lies in them."""
        if self.import_roots is not None:
            return [path.expanduser() for path in self.import_roots]
        return [Path.home()] if self.on_loopback else []

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def max_upload_bytes(self) -> int:
        """Largest file that can be uploaded, in bytes."""
        return self.max_upload_mb * 1024 * 1024

    @property
    def max_request_bytes(self) -> int:
        """Largest upload of several files together, in bytes."""
        return self.max_request_mb * 1024 * 1024


def load_settings(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    **flags: Any,
) -> Settings:
    """Read the settings: file, then variables, then `flags` (None means “not given”).

    The file is `config`, else what `RAGLOOM_CONFIG` names, else `ragloom.toml` in the current
    folder where there is one. Raises `InvalidSettings` with every problem at once.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in flags.items() if value is not None}
    file_values, file_name = _read_file(config, environ)
    env_values = {
        name[len(ENV_PREFIX) :].lower(): value
        for name, value in environ.items()
        if name.upper().startswith(ENV_PREFIX)
        and name.upper() != CONFIG_VARIABLE
        and not name.upper().startswith((TEST_PREFIX, SECRET_PREFIX))
        and value != ""
    }
    problems = [
        *_unknown(file_values, lambda key: f"`{key}` in {file_name}"),
        *_unknown(env_values, lambda key: f"the variable {ENV_PREFIX}{key.upper()}"),
        *_unknown(given, lambda key: f"--{key.replace('_', '-')}"),
    ]
    if problems:
        raise _invalid(problems)
    try:
        return Settings(**{**file_values, **env_values, **given})
    except ValidationError as error:
        raise _invalid(
            [_bad_value(item, given, env_values, file_name) for item in error.errors()]
        ) from None


def _read_file(config: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    named = config or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    path = named or Path(DEFAULT_FILE)
    if named is None and not path.is_file():
        return {}, DEFAULT_FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), str(path)
    except OSError as error:
        raise InvalidSettings(
            f"The settings file {path} cannot be read: {error.strerror}.",
            fix=f"Create it, or unset {CONFIG_VARIABLE}.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"The settings file {path} is not valid TOML: {error}.",
            fix="Mend that line; every setting is written as `name = value`.",
        ) from None


def _unknown(values: Mapping[str, Any], place: Any) -> list[Problem]:
    problems = []
    for key in values:
        if key in Settings.model_fields:
            continue
        near = difflib.get_close_matches(key, Settings.model_fields, n=1, cutoff=0.6)
        hint = f"Did you mean {place(near[0])}?" if near else "Remove it."
        problems.append(
            Problem(
                code="unknown_setting",
                message=f"There is no setting for {place(key)}.",
                fix=hint,
                found=key,
                expected=near[0] if near else None,
            )
        )
    return problems


def _bad_value(
    item: Mapping[str, Any], given: Mapping[str, Any], env: Mapping[str, Any], file_name: str
) -> Problem:
    name = str(item["loc"][0]) if item["loc"] else ""
    if name in given:
        place = f"--{name.replace('_', '-')}"
    elif name in env:
        place = f"{ENV_PREFIX}{name.upper()}"
    else:
        place = f"`{name}` in {file_name}"
    field = Settings.model_fields.get(name)
    secret = name in ("api_key", "database_url")
    found = None if secret else str(item.get("input"))
    shown = "" if secret else f" ({found!r})"
    return Problem(
        code="bad_setting",
        message=f"The value of {place}{shown} does not fit: {unfit(item)}.",
        fix=field.description or "" if field else "",
        found=found,
    )


def _invalid(problems: list[Problem]) -> InvalidSettings:
    return InvalidSettings(
        " ".join(problem.message for problem in problems),
        fix=" ".join(dict.fromkeys(problem.fix for problem in problems if problem.fix)),
        problems=problems,
    )
