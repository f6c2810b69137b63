"""Runs and the results of their steps, with a cap on what lies in SQL and a limit on the whole."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id
from storage.tables import Run, RunStep

_DAY_S = 86_400.0
_PREVIEW_CHARS = 2_000
#: A payload is written just before the row that names it; `prune` leaves younger ones alone.
_PAYLOAD_GRACE_S = 60.0
#: Runs removed at a time until the payloads are below their limit.
_PRUNE_STEP = 20
_STOPPED = {
    "code": "server_stopped",
    "message": "The server stopped during this run.",
    "fix": "Run it again; steps whose results are known are reused.",
}

_Runs = list[Run]


class RunRepository:
    """Runs in SQL; step inputs and outputs larger than `cap_bytes` in a blob folder of their own."""

    def __init__(self, db: Database, blobs: Blobs, cap_bytes: int = 64 * 1024) -> None:
        self._db = db
        self._blobs = blobs
        self._cap = cap_bytes

    def start(
        self,
        run_id: str | None = None,
        *,
        graph: Mapping[str, Any],
        input_data: Mapping[str, Any],
        trigger: str,
        workflow_id: str | None = None,
        workflow_name: str = "",
        revision: int | None = None,
    ) -> Run:
        """Record a run that begins now."""
        run = Run(
            id=run_id or new_id("run"),
            workflow_id=workflow_id,
            workflow_name=workflow_name,
            revision=revision,
            trigger=trigger,
            graph=dict(graph),
            input_data=dict(input_data),
            started_at=time.time(),
        )
        with self._db.write() as session:
            session.add(run)
        return run

    def step_started(
        self, run_id: str, node_id: str, *, ordinal: int, name: str = "", type: str = ""
    ) -> None:
        """A node begins."""
        self._put(
            run_id,
            node_id,
            status="running",
            ordinal=ordinal,
            name=name,
            type=type,
            started_at=time.time(),
        )

    def step_finished(
        self,
        run_id: str,
        node_id: str,
        *,
        duration_ms: float,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        cached: bool = False,
        reason: str = "",
        signature: str = "",
        **described: Any,
    ) -> None:
        """A node's outputs are there. `described` may give ordinal, name and type of a step that
        was not started here, such as a cached one."""
        self._put(
            run_id,
            node_id,
            status="completed",
            duration_ms=duration_ms,
            inputs=self._payload(inputs),
            outputs=self._payload(outputs),
            cached=cached,
            reason=reason,
            signature=signature,
            **described,
        )

    def step_skipped(self, run_id: str, node_id: str, *, reason: str, **described: Any) -> None:
        """A node does not run."""
        self._put(run_id, node_id, status="skipped", reason=reason, **described)

    def step_failed(
        self,
        run_id: str,
        node_id: str,
        *,
        error: Mapping[str, Any],
        duration_ms: float = 0.0,
        inputs: Mapping[str, Any] | None = None,
        **described: Any,
    ) -> None:
        """A node failed for good."""
        self._put(
            run_id,
            node_id,
            status="failed",
            error=dict(error),
            duration_ms=duration_ms,
            inputs=self._payload(inputs or {}),
            **described,
        )

    def finish(
        self,
        run_id: str,
        *,
        status: str,
        duration_ms: float,
        outputs: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> Run:
        """The run is over; steps still running then were cancelled with it."""
        with self._db.write() as session:
            run = session.get(Run, run_id)
            if run is None:
                raise NotFound("run", run_id)
            run.status = status
            run.duration_ms = duration_ms
            run.outputs = dict(outputs or {})
            run.error = dict(error) if error else None
            session.exec(
                update(RunStep)
                .where(col(RunStep.run_id) == run_id, col(RunStep.status) == "running")
                .values(status="cancelled")
            )
        return run

    def get(self, run_id: str) -> tuple[Run, list[RunStep]]:
        """A run and its steps in the order in which they began; raises NotFound."""
        query = select(RunStep).where(col(RunStep.run_id) == run_id)
        with self._db.read() as session:
            run = session.get(Run, run_id)
            if run is None:
                raise NotFound("run", run_id)
            return run, list(session.exec(query.order_by(col(RunStep.ordinal))).all())

    def load_payload(self, payload: Mapping[str, Any]) -> Any:
        """The data of a step's `inputs` or `outputs`; NotFound when it expired."""
        if "blob" in payload:
            return json.loads(self._blobs.read(payload["blob"]))
        return payload.get("value", {})

    def list(
        self,
        workflow_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
        *,
        status: str | None = None,
    ) -> tuple[_Runs, int]:
        """Runs, newest first; and how many."""
        query = select(Run)
        if workflow_id is not None:
            query = query.where(col(Run.workflow_id) == workflow_id)
        if status is not None:
            query = query.where(col(Run.status) == status)
        page = query.order_by(col(Run.started_at).desc(), col(Run.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page.limit(limit).offset(offset)).all()), total

    def by_signature(self, signature: str) -> RunStep | None:
        """The newest completed step with that signature."""
        if not signature:
            return None
        query = (
            select(RunStep)
            .join(Run, col(Run.id) == col(RunStep.run_id))
            .where(col(RunStep.signature) == signature, col(RunStep.status) == "completed")
            .order_by(col(Run.started_at).desc())
        )
        with self._db.read() as session:
            return session.exec(query.limit(1)).first()

    def last_step(self, workflow_id: str, node_id: str) -> RunStep | None:
        """The newest completed step of a node in any run of a workflow."""
        query = (
            select(RunStep)
            .join(Run, col(Run.id) == col(RunStep.run_id))
            .where(
                col(Run.workflow_id) == workflow_id,
                col(RunStep.node_id) == node_id,
                col(RunStep.status) == "completed",
            )
            .order_by(col(Run.started_at).desc())
        )
        with self._db.read() as session:
            return session.exec(query.limit(1)).first()

    def interrupt_running(self) -> int:
        """Mark what a dead process left running as failed; returns how many runs."""
        running = select(Run.id).where(col(Run.status) == "running")
        with self._db.write() as session:
            ids = session.exec(running).all()
            session.exec(
                update(RunStep)
                .where(col(RunStep.run_id).in_(running), col(RunStep.status) == "running")
                .values(status="cancelled")
            )
            session.exec(
                update(Run)
                .where(col(Run.status) == "running")
                .values(status="failed", error=_STOPPED)
            )
        return len(ids)

    def prune(
        self,
        max_age_days: float | None = None,
        max_runs: int | None = None,
        max_bytes: int | None = None,
    ) -> int:
        """Remove the oldest runs beyond any of the limits, then the payloads nobody names.

        `max_bytes` limits the payload folder. Returns the number of runs removed.
        """
        removed = 0
        ended = select(Run.id).where(col(Run.status) != "running")
        newest_first = ended.order_by(col(Run.started_at).desc(), col(Run.id))
        if max_age_days is not None:
            horizon = time.time() - max_age_days * _DAY_S
            removed += self._remove(ended.where(col(Run.started_at) < horizon))
        if max_runs is not None:
            removed += self._remove(newest_first.offset(max_runs).limit(2**31 - 1))
        self._sweep()
        if max_bytes is not None:
            # Payloads of younger runs would survive the sweep and make this remove every run.
            settled = col(Run.started_at) < time.time() - 2 * _PAYLOAD_GRACE_S
            while self._blobs.size_total() > max_bytes:
                oldest = (
                    ended.where(settled)
                    .order_by(col(Run.started_at), col(Run.id))
                    .limit(_PRUNE_STEP)
                )
                step = self._remove(oldest)
                removed += step
                if not step:
                    break
                self._sweep()
        return removed

    def _remove(self, ids: Any) -> int:
        with self._db.write() as session:
            doomed = session.exec(ids).all()
            session.exec(delete(RunStep).where(self._db.among(RunStep.run_id, doomed)))
            session.exec(delete(Run).where(self._db.among(Run.id, doomed)))
        return len(doomed)

    def _sweep(self) -> None:
        self._blobs.sweep(self._named, older_than_s=_PAYLOAD_GRACE_S)

    def _named(self, shas: Collection[str]) -> set[str]:
        columns = (
            col(RunStep.inputs)["blob"].as_string(),
            col(RunStep.outputs)["blob"].as_string(),
        )
        with self._db.read() as session:
            return {
                sha
                for column in columns
                for sha in session.exec(select(column).where(self._db.among(column, shas)))
            }

    def _payload(self, data: Mapping[str, Any]) -> dict[str, Any]:
        encoded = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        raw = encoded.encode("utf-8", "surrogatepass")
        if len(raw) <= self._cap:
            return {"value": dict(data)}
        sha = self._blobs.put_bytes(raw)
        return {"blob": sha, "size": len(raw), "preview": encoded[:_PREVIEW_CHARS]}

    def _put(self, run_id: str, node_id: str, **values: Any) -> None:
        with self._db.write() as session:
            step = session.get(RunStep, (run_id, node_id))
            if step is None:
                step = RunStep(
                    run_id=run_id,
                    node_id=node_id,
                    ordinal=values.pop("ordinal", None) or _next_ordinal(session, run_id),
                    status="running",
                )
                session.add(step)
            for name, value in values.items():
                setattr(step, name, value)


def _next_ordinal(session: Session, run_id: str) -> int:
    query = select(func.coalesce(func.max(RunStep.ordinal), -1)).where(
        col(RunStep.run_id) == run_id
    )
    return int(session.exec(query).one()) + 1
