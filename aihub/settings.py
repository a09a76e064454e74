"""Everything that can be set: flag > environment (`AIHUB_...`) > `aihub.toml` > default."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?$", max_length=300)
]
"""What a browser calls the place that a page comes from: scheme, host and port in small letters, nothing behind."""


class Settings(BaseSettings):
    """Settings of one hub. Every field is `AIHUB_` + its name in capitals in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="AIHUB_", env_nested_delimiter="__", toml_file="aihub.toml", extra="forbid", frozen=True
    )

    home: Path = Field(
        Path("~/.aihub").expanduser(),
        description="Where the hub keeps its database, keys, evidence and models.",
    )
    host: str = Field("127.0.0.1", description="Address the ingress listens on.")
    port: int = Field(8000, ge=1, le=65535, description="HTTP port.")
    grpc_port: int = Field(9000, ge=0, le=65535, description="gRPC port; 0 turns gRPC off.")
    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the home folder.")
    model_mirror: str = Field("", description="Folder or http(s) address asked first for weights.")
    test_media: str = Field("", description="Folder of real test media (images/, video/, audio/).")
    training_data: str = Field("", description="Folder of labelled training sets; recipes only.")
    allow_licenses: tuple[str, ...] = Field(
        (), description="Licences of weights allowed beyond the permissive ones."
    )
    allow_downloads: bool = Field(
        False, description="Whether weights may be fetched from the internet when first needed."
    )
    engine_budget_mb: int = Field(2048, gt=0, description="Memory for loaded models in one process, MiB.")
    engine_threads: int = Field(0, ge=0, description="Runs at once in one process; 0 means one per core.")
    gpu_memory_mb: int = Field(
        0, ge=0, description="Memory of a card that one model takes at most, MiB; 0 sets no limit."
    )
    gateway_replicas: int = Field(1, ge=1, le=256)
    stream_host_replicas: int = Field(1, ge=1, le=4096)
    streams_per_host: int = Field(64, ge=1, le=4096, description="Streams one host claims at most.")
    lease_seconds: float = Field(
        10.0, gt=1, le=300, description="A dead host's streams are taken over after this."
    )
    keep_events_days: float = Field(90.0, gt=0, description="Events that ended longer ago are forgotten.")
    audit_days: float = Field(
        365.0, ge=0, le=36500, description="Notes of the audit older than this go; 0 keeps them for ever."
    )
    feedback_pictures: bool = Field(
        False,
        description="Whether feedback keeps a copy of its event's picture; never of algorithms about faces.",
    )
    feedback_days: float = Field(
        365.0, gt=0, le=36500, description="Feedback given longer ago goes, with its picture."
    )
    gallery_key: SecretStr = Field(
        SecretStr(""),
        description="What face templates are sealed with, 32 bytes as base64; empty takes gallery.key in the home folder.",
    )
    max_image_bytes: int = Field(20 * 1024 * 1024, gt=0, description="Largest picture accepted, bytes.")
    max_image_pixels: int = Field(
        50_000_000, gt=0, description="Largest picture accepted, pixels; checked before decoding."
    )
    max_body_bytes: int = Field(
        64 * 1024 * 1024,
        gt=0,
        description="Largest request with several pictures, bytes; base64 counts as sent.",
    )
    max_images: int = Field(16, ge=1, le=256, description="Pictures in one request, at most.")
    max_texts: int = Field(64, ge=1, le=4096, description="Texts, or series, in one request, at most.")
    max_text_chars: int = Field(20_000, ge=1, le=1_000_000, description="Characters of a text, at most.")
    max_series_points: int = Field(50_000, ge=1, le=1_000_000, description="Values of a series, at most.")
    max_sound_bytes: int = Field(25 * 1024 * 1024, gt=0, description="Largest recording accepted, bytes.")
    max_sound_s: float = Field(
        900.0, gt=0, le=86400, description="Longest recording accepted, seconds; checked before decoding."
    )
    sound_timeout_s: float = Field(
        300.0, gt=0, le=3600, description="Longest a request with a recording may take."
    )
    max_live_sounds: int = Field(32, ge=0, le=4096, description="Live sound sessions in one process.")
    max_live_s: float = Field(
        3600.0, gt=0, le=86400, description="Longest live sound session, seconds of sound."
    )
    live_idle_s: float = Field(
        30.0, gt=0, le=600, description="A live sound session that sends nothing for this long is closed."
    )
    infer_timeout_s: float = Field(30.0, gt=0, le=600, description="Longest an inference request may take.")
    max_job_bytes: int = Field(
        2 * 1024**3,
        gt=0,
        description="Largest file of a job, bytes; also most bytes of the pictures in a ZIP, unpacked.",
    )
    max_job_pictures: int = Field(100_000, ge=1, description="Most entries of a ZIP or pictures of a folder.")
    job_folders: tuple[str, ...] = Field(
        (), description="Folders of this machine below which jobs may read pictures; none by default."
    )
    jobs_per_host: int = Field(1, ge=0, le=64, description="Jobs that one stream host works on at once.")
    jobs_per_tenant: int = Field(100, ge=1, description="Jobs of one tenant that may wait or run.")
    keep_jobs_days: float = Field(7.0, gt=0, description="Jobs that ended longer ago go, with their files.")
    webhook_networks: tuple[str, ...] = Field(
        (), description="Private networks (CIDR) that webhooks may reach; none by default."
    )
    fetch_pictures: bool = Field(
        True, description="Whether requests may name pictures by address, for the hub to fetch."
    )
    picture_networks: tuple[str, ...] = Field(
        (), description="Private networks (CIDR) that pictures may be fetched from; none by default."
    )
    camera_networks: tuple[str, ...] = Field(
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "127.0.0.0/8",
            "fc00::/7",
            "::1/128",
            "100.64.0.0/10",
        ),
        description="Private networks (CIDR) where cameras may be; public addresses are always allowed.",
    )
    cors_origins: tuple[Origin, ...] = Field(
        (),
        description="Origins (https://host:port) whose pages may call the hub from a browser; none by default.",
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_json: bool = Field(False, description="Log one JSON object a line.")

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'aihub.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of the library
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of the library
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flag, environment, file; nothing else is read."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
