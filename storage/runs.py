"""Runs and the results of their steps, with a cap on what lies in SQL and a limit on the whole."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from storage.automation_tables import Approval, Worker
from storage.batches import prune_batches
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.ids import new_id
from storage.run_writes import RunChange, as_payload, write_changes
from storage.tables import Run, RunStep

_DAY_S = 86_400.0
#: A payload is written just before the row that names it; `prune` leaves younger ones alone.
_PAYLOAD_GRACE_S = 60.0
#: Runs removed at a time until the payloads are below their limit.
_PRUNE_STEP = 20
#: Statuses of runs that are not over.
OPEN = ("running", "waiting")
#: A run during which the server died this often, without a step more, is not taken up again.
MAX_ATTEMPTS = 3
INTERRUPTED = {
    "code": "server_stopped",
    "message": "The server stopped during this run.",
    "fix": "Resume it: finished steps are kept.",
}
CRASHED = {
    "code": "run_crashed",
    "message": "The server died each time at the same place of this run.",
    "fix": "Look at the steps that were under way, change the workflow, and run it again.",
}

_Runs = list[Run]
_Steps = list[RunStep]


#: Of each node, its step's status and what a person is asked.
StepMarks = dict[str, tuple[str, Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is, and when the server that runs it was last seen."""

    status: str
    owner: str
    seen_at: float | None
    steps: StepMarks


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
        durable: bool = False,
        owner: str = "",
        parent_run: str | None = None,
        options: Mapping[str, Any] | None = None,
        warnings: Sequence[str] = (),
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
            durable=durable,
            owner=owner,
            parent_run=parent_run,
            options=self.payload(options) if options else {},
            warnings=list(warnings),
        )
        with self._db.write() as session:
            session.add(run)
        return run

    def record(self, changes: Sequence[RunChange]) -> None:
        """Write down what happened, in one transaction. Raises NotFound, StorageFull.

        Inputs and outputs of steps are plain data here.
        """
        # Copies: what cannot be written is given again.
        kept = [
            replace(change, steps={node: self._kept(row) for node, row in change.steps.items()})
            for change in changes
        ]
        with self._db.write() as session:
            write_changes(self._db, session, kept)

    def _kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        payloads = row.keys() & {"inputs", "outputs"}
        return {**row, **{name: self.payload(row[name]) for name in payloads}}

    def payload(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Data as `inputs`, `outputs` and `options` keep it; large data becomes a file."""
        return as_payload(self._blobs, self._cap, data)

    @property
    def db(self) -> Database:
        """The database of the runs."""
        return self._db

    def get(self, run_id: str, nodes: Collection[str] | None = None) -> tuple[Run, list[RunStep]]:
        """A run and the steps of its graph, or of some of its nodes, in their order; raises
        NotFound."""
        query = select(RunStep).where(col(RunStep.run_id) == run_id, col(RunStep.inside) == "")
        if nodes is not None:
            query = query.where(self._db.among(RunStep.node_id, nodes))
        with self._db.read() as session:
            run = session.get(Run, run_id)
            if run is None:
                raise NotFound("run", run_id)
            return run, list(session.exec(query.order_by(col(RunStep.ordinal))).all())

    def state(self, run_id: str) -> RunState:
        """How far a run is, without what it works on; raises NotFound."""
        of_run = select(Run.status, Run.owner).where(col(Run.id) == run_id)
        of_steps = select(RunStep.node_id, RunStep.status, RunStep.waiting).where(
            col(RunStep.run_id) == run_id, col(RunStep.inside) == ""
        )
        with self._db.read() as session:
            found = session.exec(of_run).first()
            if found is None:
                raise NotFound("run", run_id)
            status, owner = found
            seen = session.exec(select(Worker.seen_at).where(col(Worker.id) == owner)).first()
            steps = session.exec(of_steps).all()
        # What was asked stays written down after the answer.
        marks = {node: (now, asked if now == "waiting" else None) for node, now, asked in steps}
        return RunState(status, owner, seen, marks)

    def steps_inside(
        self, run_id: str, node_id: str, limit: int = 50, offset: int = 0
    ) -> tuple[_Steps, int]:
        """Steps of the body of a node, in the order in which they began; and how many."""
        query = select(RunStep).where(col(RunStep.run_id) == run_id, col(RunStep.inside) == node_id)
        page = query.order_by(col(RunStep.ordinal), col(RunStep.node_id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            return list(session.exec(page.limit(limit).offset(offset)).all()), total

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
        trigger: str | None = None,
    ) -> tuple[_Runs, int]:
        """Runs, newest first; and how many."""
        query = select(Run)
        if workflow_id is not None:
            query = query.where(col(Run.workflow_id) == workflow_id)
        if status is not None:
            query = query.where(col(Run.status) == status)
        if trigger is not None:
            query = query.where(col(Run.trigger) == trigger)
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

    def node_of(self, step: RunStep) -> Mapping[str, Any]:
        """The node of the graph that a step belongs to, as the run's file has it; else empty."""
        with self._db.read() as session:
            graph = session.exec(select(Run.graph).where(col(Run.id) == step.run_id)).first() or {}
        nodes = graph.get("nodes", [])
        return next((node for node in nodes if node.get("id") == step.node_id), {})

    def seen(self, owner: str) -> None:
        """Note that a server is alive."""
        with self._db.write() as session:
            session.merge(Worker(id=owner, seen_at=time.time()))

    def taken_from(self, owner: str, run_ids: Collection[str]) -> frozenset[str]:
        """Which of these runs are not those of `owner` any more: it was taken for dead."""
        query = select(Run.id).where(self._db.among(Run.id, run_ids), col(Run.owner) != owner)
        with self._db.read() as session:
            return frozenset(session.exec(query).all())

    def take_over(
        self, owner: str, silent_s: float, busy: Collection[str] = ()
    ) -> tuple[_Runs, _Runs]:
        """Make open runs of dead servers those of `owner`, which runs only `busy` itself.

        Dead is who was not seen for `silent_s` seconds, and an earlier life of `owner`. Returns
        the runs to go on with and those that end here: durable ones and those that wait for a
        person go on, unless they brought the server down again and again.
        """
        alive = select(Worker.id).where(
            col(Worker.seen_at) > time.time() - silent_s, col(Worker.id) != owner
        )
        left = select(Run).where(
            col(Run.status).in_(OPEN),
            col(Run.owner).not_in(alive),
            ~self._db.among(Run.id, busy),
        )
        with self._db.write() as session:
            runs = session.exec(left.order_by(col(Run.started_at)).with_for_update()).all()
            go_on: _Runs = []
            ended: _Runs = []
            for run in runs:
                run.owner = owner
                if not (run.durable or run.status == "waiting"):
                    run.status, run.error = "interrupted", INTERRUPTED
                elif self._gets_nowhere(session, run):
                    run.status, run.error = "failed", CRASHED
                (go_on if run.status in OPEN else ended).append(run)
            ids = [run.id for run in ended]
            session.flush()
            session.exec(
                update(RunStep)
                .where(self._db.among(RunStep.run_id, ids), col(RunStep.status).in_(OPEN))
                .values(status="cancelled")
            )
        return go_on, ended

    def take(self, run_id: str, owner: str, statuses: Collection[str]) -> bool:
        """Make a run that is in one of `statuses` one that `owner` runs; False when it is not."""
        with self._db.write() as session:
            found = session.connection().execute(
                update(Run)
                .where(col(Run.id) == run_id, col(Run.status).in_(list(statuses)))
                .values(status="running", error=None, owner=owner, attempts=0)
            )
        return bool(found.rowcount)

    def keep(self, run_ids: Collection[str]) -> None:
        """These go on at the next start: they were stopped in good order."""
        with self._db.write() as session:
            session.exec(
                update(Run).where(self._db.among(Run.id, run_ids)).values(attempts=0, progress=0)
            )

    def _gets_nowhere(self, session: Session, run: Run) -> bool:
        mine = col(RunStep.run_id) == run.id
        settled = select(func.count()).where(mine, col(RunStep.status).not_in(OPEN))
        progress = session.exec(settled).one()
        if run.status == "waiting" or progress > run.progress:
            run.attempts = 0
        run.attempts += 1
        run.progress = progress
        return run.attempts > MAX_ATTEMPTS

    def prune(
        self,
        max_age_days: float | None = None,
        max_runs: int | None = None,
        max_bytes: int | None = None,
    ) -> int:
        """Remove the oldest runs beyond any of the limits, then the payloads nobody names.

        `max_bytes` limits the payload folder. Batches go by the same age, and by a number of
        rows of their own: a table may be larger than the history. Returns how many runs went.
        """
        removed = 0
        horizon = None if max_age_days is None else time.time() - max_age_days * _DAY_S
        prune_batches(self._db, horizon)
        ended = select(Run.id).where(col(Run.status).not_in(OPEN))
        newest_first = ended.order_by(col(Run.started_at).desc(), col(Run.id))
        if horizon is not None:
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
            if not doomed:
                return 0
            session.exec(delete(RunStep).where(self._db.among(RunStep.run_id, doomed)))
            session.exec(delete(Approval).where(self._db.among(Approval.run_id, doomed)))
            session.exec(delete(Run).where(self._db.among(Run.id, doomed)))
        return len(doomed)

    def _sweep(self) -> None:
        self._blobs.sweep(self._named, older_than_s=_PAYLOAD_GRACE_S)

    def _named(self, shas: Collection[str]) -> set[str]:
        columns = (
            col(RunStep.inputs)["blob"].as_string(),
            col(RunStep.outputs)["blob"].as_string(),
            col(Run.options)["blob"].as_string(),
        )
        with self._db.read() as session:
            return {
                sha
                for column in columns
                for sha in session.exec(select(column).where(self._db.among(column, shas)))
            }
