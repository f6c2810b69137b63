"""Settings: keys, models, where things are kept, and the limits in force."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.keys import KeyView
from app.ui import parts, text, viewers
from app.ui.frame import frame

#: Settings shown, by heading; each can be set in the file, as a variable or as a flag.
GROUPS = {
    "Where things are kept": ("data", "database_url", "chroma_url"),
    "History": ("retention_days", "retention_runs", "retention_mb"),
    "Limits": (
        "max_upload_mb", "max_request_mb", "max_files", "max_pages", "parse_timeout_s",
        "parse_memory_mb", "run_timeout_s", "max_concurrent_runs",
        "max_run_memory_mb", "max_workflow_mb",
    ),
}  # fmt: skip


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/settings", response_timeout=30)
    async def settings_page() -> None:
        services = get_services()
        with frame(services, "Settings"), parts.div("rl-col rl-settings"):
            await Keys(services).build()
            await _models(services)
            _values(services)
            _about()


class Keys:
    """The list of API keys: make one, see it once, revoke it."""

    def __init__(self, services: Services) -> None:
        self._keys = services.keys

    async def build(self) -> None:
        """Show the keys."""
        parts.tag("h2", "API keys", "rl-large")
        parts.label(
            "Programs use a key to reach the REST API: Authorization: Bearer KEY.", "rl-muted"
        )
        self._fresh = parts.div()
        with parts.div("rl-list"):
            self._room = parts.div()
        with parts.div("rl-row"):
            parts.quiet("New key", self._create, icon="add")
        await self._refresh()

    async def _refresh(self) -> None:
        keys = await self._keys.list()
        self._room.clear()
        with self._room:
            for key in keys:
                self._row(key)
            if not keys:
                parts.label("There is no key.", "rl-muted").style("padding: 12px 16px")

    def _row(self, key: KeyView) -> None:
        with parts.div("rl-list-row rl-key-row"):
            parts.label(key.name, "rl-ellipsis" + (" rl-muted" if key.revoked_at else ""))
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                parts.label("made")
                parts.moment(key.created_at)
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                parts.label("used" if key.last_used_at else "never used")
                parts.moment(key.last_used_at)
            with parts.div("rl-num"):
                if key.revoked_at:
                    parts.badge("Revoked")
                else:
                    parts.bare("Revoke", lambda: self._revoke(key))

    async def _revoke(self, key: KeyView) -> None:
        hint = "Programs that use it are refused from now on."
        if await parts.confirm(f"Revoke “{key.name}”?", hint, "Revoke"):
            await self._keys.revoke(key.key_id)
            await self._refresh()

    async def _create(self) -> None:
        name = await parts.prompt(
            "New API key", "Name, such as the program that uses it", action="Create"
        )
        if not name:
            return
        try:
            _, secret = await self._keys.create(name)
        except RagloomError as error:
            parts.failed(error)
            return
        self._fresh.clear()
        hint = "Copy it to where it is used."
        with (
            self._fresh,
            parts.notice("accent", "This is the key. It is shown only now.", hint, icon="key"),
            parts.div("rl-row rl-wrap"),
        ):
            parts.label(secret, "rl-mono").mark("new-key")
            parts.icon_button("content_copy", "Copy", lambda: ui.clipboard.write(secret))
        await self._refresh()


async def _models(services: Services) -> None:
    parts.tag("h2", "Models", "rl-large")
    parts.label("Everything marked ready works offline, without a key.", "rl-muted")
    kinds = {"embed": "Embedding", "rerank": "Reranking", "llm": "Answers"}
    with parts.div("rl-list"):
        for model in await services.models.available():
            with parts.div("rl-list-row rl-model-row"):
                parts.label(str(model["name"]), "rl-mono rl-ellipsis")
                parts.label(kinds.get(str(model["kind"]), str(model["kind"])), "rl-muted rl-small")
                parts.label(str(model["source"]), "rl-muted rl-small")
                with parts.div():
                    if model["ready"]:
                        parts.badge("Ready", "ok", "check")
                    else:
                        parts.label(
                            str(model.get("how") or "Needs setting up"), "rl-muted rl-small"
                        )


def _values(services: Services) -> None:
    fields = type(services.settings).model_fields
    for number, (heading, names) in enumerate(GROUPS.items()):
        parts.tag("h2", heading, "rl-large")
        if number == 0:
            parts.label(
                "What follows is set in ragloom.toml, or as a variable like RAGLOOM_MAX_UPLOAD_MB, "
                "and holds once the server is started again.",
                "rl-muted",
            )
        with parts.div("rl-list"):
            for name in names:
                value = getattr(services.settings, name, None)
                if name not in fields or value is None:
                    continue
                with parts.div("rl-list-row rl-setting-row"):
                    with parts.div("rl-col").style("gap: 0"):
                        parts.label(fields[name].description or text.words(name))
                        # As it is written in the file.
                        parts.label(name, "rl-muted rl-small rl-mono")
                    parts.label(_said(value), "rl-mono rl-small rl-pre")


def _said(value: object) -> str:
    if isinstance(value, Path):
        return str(value.resolve())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _about() -> None:
    parts.tag("h2", "About", "rl-large")
    try:
        number = version("ragloom")
    except PackageNotFoundError:
        number = "from source"
    viewers.facts({"Ragloom": number, "NiceGUI": version("nicegui"), "Licence": "Apache-2.0"})
    with parts.div("rl-row rl-gap-16"):
        for name, href in (("REST reference", "/docs"), ("Metrics", "/metrics")):
            with parts.link(href).props("target=_blank"):
                parts.tag("span", name)
