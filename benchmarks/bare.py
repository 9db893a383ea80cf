"""The least that can answer `GET /vms?limit=50`: an ASGI function, asyncpg and msgspec.

It runs the statement that the platform runs and renders the same JSON, and does nothing else: no
token is verified, nothing is validated, limited, logged, counted or named.

    python -m benchmarks.bare PLAN

PLAN is a JSON file with the database's URL, the statement, and where its parameters come from.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import uvicorn

_CONNECTIONS: Final = 8
_MICROS: Final = 1_000_000
_HOUR: Final = 3600


class Plan(msgspec.Struct):
    """What to ask, and of whom. A parameter that is absent is the present time."""

    database_url: str
    sql: str
    parameters: list[UUID | int | None]
    limit: int


class _Specs(msgspec.Struct):
    cpu: str
    ram: str
    storage: str


class _SSHKey(msgspec.Struct):
    name: str
    fingerprint: str


class _Operation(msgspec.Struct):
    id: UUID
    kind: str
    progress: int


class _VM(msgspec.Struct):
    id: UUID
    name: str
    instance_type: str
    image: str
    status: str
    stop_reason: str | None
    active_operation: _Operation | None
    ip_address: str | None
    user_id: UUID
    project_id: UUID
    project_name: str
    specs: _Specs
    vcpus: int
    memory_mib: int
    disk_gib: int
    cost_per_hour: float
    uptime_hours: float
    current_session_hours: float
    total_cost: float
    snapshot_id: UUID | None
    ssh_keys: list[_SSHKey]
    labels: dict[str, str]
    delete_protection: bool
    has_user_data: bool
    created_at: datetime
    updated_at: datetime | None
    last_started: datetime | None
    last_stopped: datetime | None
    terminated_at: datetime | None


_read_keys: Final = msgspec.json.Decoder(list[_SSHKey]).decode
_read_labels: Final = msgspec.json.Decoder(dict[str, str]).decode


class _Page(msgspec.Struct):
    vms: list[_VM]
    total_count: int
    filters_applied: dict[str, str]
    next_cursor: str | None


class Bare:
    """The application."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pool: asyncpg.Pool | None = None
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if self._pool is None:
            self._pool = await _open_pool(self._plan.database_url)
        now = datetime.now(UTC)
        arguments = [now if value is None else value for value in self._plan.parameters]
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(self._plan.sql, *arguments)
        machines = [_machine(row, now) for row in rows[: self._plan.limit]]
        body = self._encode(_Page(machines, len(machines), {}, None))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _open_pool(url: str) -> Any:
    async def keep(_connection: object) -> None:
        """Leave a connection as it is when it goes back: nothing here changes its state."""

    return await asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=keep)


def _machine(row: Any, now: datetime) -> _VM:
    session = 0
    if row["status"] == "running" and row["wanted"] == "running" and row["last_started"] is not None:
        session = max(0, int((now - row["last_started"].replace(microsecond=0)).total_seconds()))
    rate, cost = row["rate"], row["cost"] or 0
    if rate is not None:
        seconds = int((min(now, row["paid_until"]) - row["metered_from"]).total_seconds())
        cost += max(0, rate * seconds // _HOUR - row["metered_cost"])
    memory = row["memory_mib"]
    return _VM(
        row["id"],
        row["name"],
        row["instance_type"],
        row["image"],
        row["status"],
        row["stop_reason"],
        None
        if row["operation_id"] is None
        else _Operation(row["operation_id"], row["operation_kind"], row["operation_progress"]),
        row["ip_address"],
        row["user_id"],
        row["project_id"],
        row["project_name"],
        _Specs(f"{row['vcpus']} vCPU", f"{memory // 1024} GB", f"{row['disk_gib']} GB SSD"),
        row["vcpus"],
        memory,
        row["disk_gib"],
        (row["price"] if rate is None else rate) / _MICROS,
        (row["uptime_seconds"] + session) / _HOUR,
        session / _HOUR,
        cost / _MICROS,
        row["snapshot_id"],
        _read_keys(row["ssh_keys"]),
        _read_labels(row["labels"]),
        row["delete_protection"],
        row["has_user_data"],
        row["created_at"],
        row["updated_at"],
        row["last_started"],
        row["last_stopped"],
        row["terminated_at"],
    )


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


def main(path: Path) -> None:
    plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    config = uvicorn.Config(
        Bare(plan),
        port=0,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
