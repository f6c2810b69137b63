"""The pages in the browser."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from app.services.container import Services


def register(app: FastAPI, get_services: Callable[[], Services]) -> None:
    """Add every page and the static files they need; `app` is the server they run in."""
    from app.ui import theme
    from app.ui.pages import (
        begin,
        chat,
        compare,
        history,
        lost,
        runs,
        settings,
        start,
        templates,
        workflows,
    )
    from app.ui.pages.automation import page as automation
    from app.ui.pages.batch import page as batch
    from app.ui.pages.canvas import page as canvas
    from app.ui.pages.canvas.sessions import Sessions
    from app.ui.pages.knowledge import base as knowledge_base
    from app.ui.pages.knowledge import bases as knowledge
    from app.ui.pages.knowledge import document, files

    theme.install()
    sessions = Sessions(get_services)
    files.register(app, get_services)
    start.register(app, get_services)
    templates.register(app, get_services)
    begin.register(get_services)
    workflows.register(get_services, sessions)
    canvas.register(get_services, sessions)
    history.register(get_services, sessions)
    for module in (
        runs, knowledge, knowledge_base, document, settings,
        automation, batch, chat, compare, lost,
    ):  # fmt: skip
        module.register(get_services)
