"""Numbers about the server, in the form Prometheus reads."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.api.guard import App, Message, Receive, Scope, Send
from app.engine.events import Event, NodeFailedEvent, NodeFinished, RunFinished

if TYPE_CHECKING:
    from app.engine.plan import Plan
    from app.services.container import Services

log = logging.getLogger(__name__)
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "ragloom_http_requests",
            "Requests by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "ragloom_http_request_seconds",
            "Seconds until a request was answered.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.runs = Counter(
            "ragloom_runs", "Runs by how they ended.", ["status"], registry=self.registry
        )
        self.node_seconds = Histogram(
            "ragloom_node_seconds",
            "Seconds a node took, by its type; reused results are not counted.",
            ["type"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.reused = Counter(
            "ragloom_node_results_reused",
            "Results of nodes that were reused, by type.",
            ["type"],
            registry=self.registry,
        )
        self.documents = Counter(
            "ragloom_documents_ingested",
            "Documents that were taken in, or were not.",
            ["status"],
            registry=self.registry,
        )
        self._active = Gauge("ragloom_runs_active", "Runs under way.", registry=self.registry)

    def attach(self, services: Services) -> None:
        """Count what these services do from now on."""
        self._services = services
        self._active.set_function(lambda: services.runs.active)
        services.runs.observe(self._run_event)

    def render(self) -> tuple[bytes, str]:
        """All numbers, and their media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    async def follow_documents(self) -> None:
        """Count documents as they come in, until cancelled."""
        try:
            async for task in self._services.ingest.watch():
                if task.status in ("success", "error"):
                    self.documents.labels(task.status).inc()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("Documents are no longer counted")

    def _run_event(self, plan: Plan, event: Event) -> None:
        match event:
            case RunFinished():
                self.runs.labels(event.status).inc()
            case NodeFinished() | NodeFailedEvent():
                # A step inside another node is in no plan of this run; it says its type itself.
                planned = plan.nodes.get(event.node_id)
                node_type = planned.spec.type if planned else event.type
                if isinstance(event, NodeFinished) and event.cached:
                    self.reused.labels(node_type).inc()
                else:
                    self.node_seconds.labels(node_type).observe(event.duration_ms / 1000)


class Counted:
    """ASGI middleware that counts the requests of the API."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request once its answer begins."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The pattern, not the path: ids would make a series each.
                route = getattr(scope.get("route"), "path", "unknown")
                self.metrics.requests.labels(scope["method"], route, message["status"]).inc()
                self.metrics.request_seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, counting)
