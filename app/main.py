"""The composition root: services, REST, pages and security in one server; the `ragloom` command."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.services.container import Services
    from app.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that open requests get to end when the server stops.
_GRACE_S = 3
_NOISY = (
    "httpx",
    "httpcore",
    "uvicorn.error",
    "alembic",
    "pypdf",
    "markdown_it",
    "LiteLLM",
    "openai",
)
Say = Callable[[str], None]
T = TypeVar("T")


def create_app(settings: Settings, services: Services | None = None, *, ui: bool = True) -> FastAPI:
    """The server. Without `services` it opens its own over `settings.data` and closes them."""
    from app.api.server import make_server, protect

    app = make_server(settings)
    app.state.services = services
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from app.services.container import Services

        own = None
        if app.state.services is None:
            own = app.state.services = await Services.open(settings)
        try:
            async with inner(app), _demo(settings, app.state.services):
                yield
        finally:
            if own is not None:
                await own.close()

    app.router.lifespan_context = lifespan
    if ui:
        _mount_pages(app, settings)
    protect(app, settings)
    return app


def _mount_pages(app: FastAPI, settings: Settings) -> None:
    from nicegui import app as pages_app
    from nicegui import ui

    from app.api.problems import note_departures
    from app.api.server import session_cookie
    from app.services.keys import page_secret
    from app.ui.pages import register
    from app.ui.theme import FAVICON

    pages_app.storage.path = settings.data / "pages"
    register(app, lambda: app.state.services)
    note_departures(pages_app)  # the pages are an application of their own
    ui.run_with(
        app,
        title="Ragloom",
        dark=None,
        favicon=FAVICON,
        tailwind=False,  # the pages bring their own style; its runtime would scan every change
        reconnect_timeout=30,
        storage_secret=page_secret(settings.data),
        session_middleware_kwargs={
            "session_cookie": f"{session_cookie(settings.data)}_pages",
            "max_age": settings.session_days * 86_400,
        },
        show_welcome_message=False,
    )


@asynccontextmanager
async def _demo(settings: Settings, services: Services) -> AsyncIterator[None]:
    """Fill an empty data folder behind the running server."""

    async def fill() -> None:
        from app.services.demo import ensure_demo
        from app.services.problems import explain

        await services.ready.wait()
        try:
            await ensure_demo(services)
        except Exception as error:
            log.warning("The demo could not be made: %s", explain(error).sentence())

    task = asyncio.create_task(fill(), name="demo") if settings.demo else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def serve(settings: Settings, say: Say) -> None:
    """Serve until interrupted; `say` gets the key (once) and the link.

    Raises DataFolderInUse, and RagloomError “port_in_use”.
    """
    _configure_logging(settings.log_level)
    with _listen(settings.host, settings.port) as listening:
        port = listening.getsockname()[1]
        settings = settings.model_copy(update={"port": port})
        run(_serve(settings, listening, say))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on the event loop that serves: uvloop where there is one, which hands events on faster."""
    from uvicorn.loops.auto import auto_loop_factory

    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(work)


async def _serve(settings: Settings, listening: socket.socket, say: Say) -> None:
    import uvicorn

    from app.services.container import Services

    answering = asyncio.Event()
    services = await Services.open(settings, after=answering)
    settling = asyncio.create_task(settle(services), name="settle")
    try:
        key = await services.keys.first_key()

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                # uvicorn's own raises the signal again, before the services are closed.
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self.handle_exit, number, None)
                yield

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                services.folder.set_url(local_url(settings))
                if key.created:
                    kept = services.folder.path / "api_key"
                    say(f"API key (shown once, kept in {kept}): {key.secret}")
                say(f"Open {local_url(settings)}/start?token={services.keys.open_link_token()}")
                answering.set()

        config = uvicorn.Config(
            create_app(settings, services),
            log_config=None,
            log_level="debug" if settings.log_level == "debug" else "warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        await Server(config).serve(sockets=[listening])
    finally:
        settling.cancel()
        await services.close()


async def settle(services: Services) -> None:
    """Look no more for garbage among what was loaded: that would hold everything up for 0.2 s."""
    await services.ready.wait()
    gc.freeze()


def local_url(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(  # noqa: S104
        settings.host, settings.host
    )
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{settings.port}"


def _listen(host: str, port: int) -> socket.socket:
    from app.engine.problems import RagloomError

    try:
        place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(place[0], place[1])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place[4])
    except OSError as error:
        raise RagloomError(
            f"The server cannot listen on {host}:{port}: {error.strerror or error}.",
            code="port_in_use",
            fix="Stop what uses the port, or choose another with --port (0 takes a free one).",
        ) from error
    listening.set_inheritable(False)
    return listening


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Those of the providers would write prompts, and with them the text of documents.
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def main() -> None:
    """The `ragloom` command."""
    # Read when chromadb and litellm are imported, which is long after this.
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    collect_rarely()
    from app.cli import run

    run(serve)


def collect_rarely() -> None:
    """Look for garbage less often than usual, and no more at the end.

    What is imported stays until then. Looking through it again and again would take a fifth of
    the start, and at the end as long as all the rest of stopping.
    """
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    main()
