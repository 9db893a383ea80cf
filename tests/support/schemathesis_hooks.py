"""What the fuzzer cannot know from the document; `schemathesis` loads this file by its path."""

from __future__ import annotations

import base64
import itertools
import re
import unicodedata
from typing import Any, Final

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

_KEY: Final = re.compile(r"[!-~]{1,255}")
_numbers: Final = itertools.count()
_NOBODY: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_used: Final[set[str]] = set()
_validators: Final[dict[str, Any]] = {}


def _public_key(secret: bytes) -> str:
    fields = (b"ssh-ed25519", secret)
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} fuzzer"


schemathesis.openapi.format("ssh-public-key", st.binary(min_size=32, max_size=32).map(_public_key))

# Nobody listens there: what is posted fails at once and goes nowhere.
schemathesis.openapi.format("webhook-url", st.integers(min_value=0).map(lambda number: f"https://127.0.0.1:9/{number}"))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Send each idempotency key once, and mean any version.

    A used key with another request is 422, and a version that was made up is 412, whatever the schema says.
    """
    del context, kwargs
    if case.operation.path == "/admin/simulator/faults" and isinstance(case.body, dict):
        # A rule for every call would end what the other operations can be tried with.
        case.body = {**case.body, "vm_id": case.body.get("vm_id") or _NOBODY}
    headers = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
    if "If-Match" in (case.headers or {}) and not (headers and headers.mode.is_negative):
        case.headers["If-Match"] = "*"
    key = (case.headers or {}).get("Idempotency-Key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return
    if key in _used:
        key = case.headers["Idempotency-Key"] = f"{key[:200]}-{next(_numbers)}"
    _used.add(key)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    r"""Drop what was meant to break the schema of a body and does not.

    The fuzzer reads `\\p{L}` in a pattern as the letters of a few scripts, so it holds a Thai name for an
    invalid one; the JSON schema validator knows better.
    """
    del context
    if isinstance(case.body, dict) and _repeats_itself(case.body):
        return False
    if isinstance(case.body, dict) and any(_is_too_new(value) for value in case.body.values()):
        return False
    broken = [place for place, part in case.meta.components.items() if part.mode.is_negative] if case.meta else []
    if broken != [ParameterLocation.BODY] or not isinstance(case.body, dict):
        return True
    return not _validator(case.operation.schema.raw_schema, case.operation.path, case.operation.method).is_valid(
        case.body
    )


def _repeats_itself(body: dict[str, Any]) -> bool:
    """Tell whether a password is the e-mail or the name; no schema can say that one field is not another."""
    password = body.get("password")
    others = [body.get("email"), body.get("name"), str(body.get("email")).partition("@")[0]]
    return isinstance(password, str) and password.casefold() in [str(other).strip().casefold() for other in others]


def _is_too_new(value: object) -> bool:
    """Tell whether a text holds characters that the fuzzer's Unicode knows and this Python's does not."""
    return isinstance(value, str) and any(unicodedata.category(character) == "Cn" for character in value)


def _validator(document: dict[str, Any], path: str, method: str) -> Any:
    """Return the validator of an operation's body, built once."""
    name = f"{method} {path}"
    if name not in _validators:
        content = document["paths"][path][method]["requestBody"]["content"]["application/json"]
        _validators[name] = jsonschema_rs.validator_for({**content["schema"], "components": document["components"]})
    return _validators[name]
