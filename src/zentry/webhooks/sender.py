"""Posts one message: to the one address that was looked at, without redirects, within limits of time and size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import zentry
from zentry.platform.settings import WebhookSettings
from zentry.webhooks.errors import WebhookTargetRefused
from zentry.webhooks.targets import Resolve, choose_address, parse_target, resolve
from zentry.webhooks.types import Posted

if TYPE_CHECKING:
    import httpx

_MOST_ANSWER_BYTES: Final = 65_536
_SUCCESS: Final = 2


class Sender(Protocol):
    """Posts a body to a URL."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Return what came of it; trouble is an answer, never an exception."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class HTTPSender:
    """Posts over the network."""

    def __init__(self, settings: WebhookSettings, *, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Return what came of it; trouble is an answer, never an exception."""
        import httpx  # noqa: PLC0415 - slow to import, and needed only where anybody has a webhook

        started = time.perf_counter()
        status: int | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                status = await self._post(url, body, headers)
        except TimeoutError:
            error = f"No answer within {self._settings.timeout_seconds:g} seconds."
        except WebhookTargetRefused as refusal:
            error = refusal.message
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as trouble:
            error = f"{type(trouble).__name__}: {str(trouble)[:200]}"
        if status is not None and status // 100 != _SUCCESS:
            error = f"The answer was {status}."
        return Posted(status, error, took_ms=round((time.perf_counter() - started) * 1000))

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        import httpx  # noqa: PLC0415 - see above

        parts = parse_target(url, self._settings)
        address, port = await choose_address(parts, self._settings, self._resolve)
        assert parts.hostname is not None, "a target has a host"
        sent = {
            **headers,
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": f"zentry-webhooks/{zentry.__version__}",
        }
        if self._client is None:
            # A connection of one name must never serve another that has the same address, so none is kept.
            trust = httpx.create_ssl_context(trust_env=False)
            if self._settings.ca_file:
                trust.load_verify_locations(cafile=self._settings.ca_file)
            self._client = httpx.AsyncClient(
                verify=trust,
                follow_redirects=False,
                trust_env=False,
                timeout=self._settings.timeout_seconds,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        request = self._client.build_request(
            "POST",
            httpx.URL(url).copy_with(host=str(address), port=port),
            content=body,
            headers=sent,
            extensions={"sni_hostname": parts.hostname},
        )
        answer = await self._client.send(request, stream=True)
        try:
            read = 0
            async for piece in answer.aiter_raw():
                read += len(piece)
                if read > _MOST_ANSWER_BYTES:
                    break  # Only its status matters.
        finally:
            await answer.aclose()
        return answer.status_code
