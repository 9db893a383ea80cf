"""What the fuzzer cannot know from the document; `schemathesis` loads this file by its path."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import os
import re
import time
import unicodedata
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

_KEY: Final = re.compile(r"[!-~]{1,255}")
_numbers: Final = itertools.count()
_NOBODY: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
_given: Final = json.loads(Path(os.environ["FUZZING_GIVEN"]).read_text("utf-8"))
_turns: Final[dict[str, list[dict[str, Any]]]] = _given["turns"]
_ids: Final[dict[str, Any]] = {name: itertools.cycle(there) for name, there in _given["ids"].items()}
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
        # A rule for what is there would end what the other operations can be tried with.
        case.body = {**case.body, "vm_id": _NOBODY}
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if case.meta.phase.name is TestPhase.EXAMPLES:
            _name_what_is_there(case)
        _take_turn(case)
    headers = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
    if "If-Match" in (case.headers or {}) and not (headers and headers.mode.is_negative):
        case.headers["If-Match"] = "*"
    key = (case.headers or {}).get("Idempotency-Key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return
    if key in _used:
        key = case.headers["Idempotency-Key"] = f"{key[:200]}-{next(_numbers)}"
    _used.add(key)


def _name_what_is_there(case: Any) -> None:
    """Put ids of what is there into the place of those that the document's examples have."""
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            part.update({name: next(_ids[name]) for name in part.keys() & _ids.keys()})


def _take_turn(case: Any) -> None:
    """Let a request that means to be right say what only a person could know."""
    turns = _turns.get(case.operation.label)
    if not turns:
        return
    turn = turns[0] if turns[0].get("again") else turns.pop(0)
    if "token" in turn:
        case.headers["Authorization"] = f"Bearer {turn['token']}"
    if "secret" in turn:
        turn = {**turn, "body": {"code": _one_time_code(turn["secret"])}}
    if "path" in turn:
        case.path_parameters = {**case.path_parameters, **turn["path"]}
    if "body" in turn:
        case.body = {**case.body, **turn["body"]}


def _one_time_code(secret: str) -> str:
    """Return the code that an authenticator shows now (RFC 6238)."""
    counter = int(time.time()) // 30
    digest = hmac.digest(base64.b32decode(secret), counter.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFF_FFFF) % 1_000_000:06d}"


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
