"""Events: read page by page, followed as a stream, and a VM's way from state to state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, status

from zentry.accounts.middleware import Authenticator
from zentry.activity.events import EventService
from zentry.activity.events_schemas import EventList, TransitionList
from zentry.activity.stream import EventStream, MayListen
from zentry.events.errors import PositionUnknown, TooManyStreams
from zentry.events.hub import EventHub
from zentry.events.types import Wanted
from zentry.platform.caller import Caller
from zentry.platform.errors import InvalidInput, Unavailable, ZentryError
from zentry.platform.ids import parse_id, wanted_id
from zentry.platform.instants import QueryInstant, first_instant
from zentry.platform.settings import Settings
from zentry.platform.web import CallerDep, Edge, EdgeDep, JSONBytes, raises
from zentry.projects.errors import ProjectNotFound
from zentry.projects.service import ProjectService
from zentry.vms.errors import VMNotFound

router = APIRouter(tags=["Activity"])

_MOST_KINDS: Final = 20
_LAST_POSITION: Final = 2**53 - 1
_KIND: Final = r"^[a-z_.]{1,100}$"

Kinds = Annotated[
    list[Annotated[str, Query(pattern=_KIND)]] | None,
    Query(
        max_length=_MOST_KINDS,
        description="Only kinds that begin so; may be given several times.",
        examples=[["vm.", "credit.low"]],
    ),
]
ProjectId = Annotated[
    str | None, Query(max_length=64, description="Events of this project, whoever's they are; else your own.")
]
ResourceId = Annotated[str | None, Query(max_length=64, description="Only events of this VM, project or other thing.")]
Position = Annotated[int | None, Query(ge=0, le=_LAST_POSITION, description="`next_cursor` of the page before.")]
PageLimit = Annotated[int, Query(ge=1, le=500, description="Most to return.")]


class Order(StrEnum):
    """Which events come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


class EventStreams:
    """What a route needs to open a stream."""

    def __init__(self, hub: EventHub, authenticator: Authenticator, settings: Settings) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._settings = settings

    def open(self, wanted: Wanted, *, after: int | None, token: str, edge: Edge) -> EventStream:
        """Return the answer that is the stream."""
        return EventStream(
            self._hub,
            wanted,
            after=after,
            may_listen=self._may_listen(wanted, token, edge),
            settings=self._settings.events,
            trust_seconds=self._settings.security.token_cache_seconds,
        )

    def _may_listen(self, wanted: Wanted, token: str, edge: Edge) -> MayListen:
        async def may_listen() -> bool:
            try:
                caller = await self._authenticator.authenticate(token)
                await _ensure_project(edge, wanted.project_id, caller)
            except Unavailable:
                return True  # The database says nothing; the next look will.
            except ZentryError:
                return False
            return True

        return may_listen


async def _streams(request: Request) -> EventStreams:
    return cast("EventStreams", request.app.state.event_streams)


StreamsDep = Annotated[EventStreams, Depends(_streams)]


@router.get("/events", summary="List events", response_model=EventList, responses=raises(ProjectNotFound))
async def list_events(
    caller: CallerDep,
    edge: EdgeDep,
    kind: Kinds = None,
    project_id: ProjectId = None,
    resource_id: ResourceId = None,
    actor_id: Annotated[str | None, Query(max_length=64, description="Only what this account asked for.")] = None,
    since: Annotated[QueryInstant | None, Query(description="Only events from this day or time on.")] = None,
    until: Annotated[QueryInstant | None, Query(description="Only events before this day or time.")] = None,
    order: Annotated[Order, Query(description="Which come first.")] = Order.NEWEST,
    limit: PageLimit = 100,
    cursor: Position = None,
) -> JSONBytes:
    """What happened to the account and to what it owns, or in one project; filtered, and page by page.

    Positions are those of the log: what was shown once stays where it is, and what is committed later comes behind
    it. To go on with what comes, ask with `order=oldest` and the last position as `cursor`, or follow the stream.
    """
    wanted = await _wanted(
        edge,
        caller,
        kinds=kind,
        project_id=project_id,
        resource_id=wanted_id(resource_id),
        actor_id=wanted_id(actor_id),
        since=None if since is None else first_instant(since),
        until=None if until is None else first_instant(until),
    )
    async with edge.read() as tx:
        found = await edge.service(EventService, tx).list_events(
            wanted, newest_first=order is Order.NEWEST, cursor=cursor, limit=limit + 1
        )
    return JSONBytes(_page("events", found, limit))


@router.get(
    "/events/stream",
    summary="Follow events",
    status_code=status.HTTP_200_OK,
    response_class=EventStream,
    responses={
        200: {
            "description": "Server-sent events. Each has its position as `id` and an event of `GET /events` as `data`.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'id: 4711\ndata: {"position":4711,"kind":"vm.running"}\n\n',
                }
            },
        },
        **raises(InvalidInput, PositionUnknown, ProjectNotFound, TooManyStreams),
    },
)
async def stream_events(
    request: Request,
    caller: CallerDep,
    edge: EdgeDep,
    streams: StreamsDep,
    kind: Kinds = None,
    project_id: ProjectId = None,
    resource_id: ResourceId = None,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,15}$",
            description="Go on behind this position; 0 replays all that is kept. Without it, from now on.",
            examples=["4711"],
        ),
    ] = None,
) -> EventStream:
    """Follow what happens, as server-sent events, without a gap and without a repetition.

    The `id` of an event is its position. After a broken connection send the last one as `Last-Event-ID`. A line with
    an id alone says that the stream lives, and is a position to go on from. Who reads too slowly is cut off and
    misses nothing: the position says where to go on. An event named `gap` tells that some are no longer kept. The
    stream ends when the session does, and after a time, for you to open another.
    """
    wanted = await _wanted(edge, caller, kinds=kind, project_id=project_id, resource_id=wanted_id(resource_id))
    token = request.headers["authorization"].partition(" ")[2].strip(" ")
    after = None if last_event_id is None else int(last_event_id)
    return streams.open(wanted, after=after, token=token, edge=edge)


@router.get(
    "/vms/{vm_id}/transitions",
    summary="List the state changes of a VM",
    response_model=TransitionList,
    responses=raises(VMNotFound),
)
async def list_vm_transitions(
    vm_id: Annotated[str, Path(description="Id of a VM.", examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])],
    caller: CallerDep,
    edge: EdgeDep,
    limit: PageLimit = 100,
    cursor: Position = None,
) -> JSONBytes:
    """How a VM came from state to state, the newest first, each with its cause; also of one that is terminated."""
    async with edge.read() as tx:
        found = await edge.service(EventService, tx).list_transitions(
            parse_id(vm_id), cursor=cursor, limit=limit + 1, caller=caller
        )
    return JSONBytes(_page("transitions", found, limit))


async def _wanted(
    edge: Edge, caller: Caller, *, kinds: Sequence[str] | None, project_id: str | None, **others: Any
) -> Wanted:
    """Return what is asked for; a project is there for those who may see it."""
    project = None
    if project_id is not None:
        project = parse_id(project_id)
        if project is None:
            raise ProjectNotFound
        await _ensure_project(edge, project, caller)
    return Wanted(user_id=caller.user_id, project_id=project, kinds=tuple(kinds or ()), **others)


async def _ensure_project(edge: Edge, project_id: UUID | None, caller: Caller) -> None:
    if project_id is not None:
        async with edge.read() as tx:
            await edge.service(ProjectService, tx).get_project(project_id, caller=caller)


def _page(name: str, found: Sequence[Any], limit: int) -> Mapping[str, Any]:
    more = len(found) > limit
    return {name: found[:limit], "next_cursor": found[limit - 1].position if more else None}
