"""What mails say: every text of the platform in this one place, as plain text.

What a person has chosen (a name, a project) may stand in a text, never in a subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from zentry.mail.types import Letter

_MANY_MINUTES: Final = 120


def verify_email(way: str) -> Letter:
    """Return the letter that proves who reads an address; `way` is a link or a token."""
    return Letter(
        "Confirm your e-mail address",
        f"""\
Somebody, most likely you, has given this address for an account at Zentry Cloud.

To confirm that it is yours, use this within 24 hours:

{way}

If it was not you, do nothing: without a confirmation nothing happens.
""",
    )


def change_email(way: str) -> Letter:
    """Return the letter that proves who reads a new address."""
    return Letter(
        "Confirm your new e-mail address",
        f"""\
An account at Zentry Cloud is to have this address from now on.

To confirm that it is yours, use this within 24 hours:

{way}

If you know nothing of it, do nothing: without a confirmation nothing happens.
""",
    )


def reset_password(way: str) -> Letter:
    """Return the letter that lets its reader choose another password."""
    return Letter(
        "Choose another password",
        f"""\
Somebody, most likely you, has forgotten the password of your account at Zentry Cloud.

To choose another one, use this within an hour:

{way}

If it was not you, do nothing: your password stays as it is.
""",
    )


def account_changed(what: str) -> Letter:
    """Return the letter that tells an owner of a change."""
    return Letter(
        "Your account was changed",
        f"""\
This has happened to your account at Zentry Cloud: {what}

If it was you, there is nothing to do. If it was not, choose another password at once, end all sessions
and revoke the tokens that you do not know.
""",
    )


def budget_reached(*, name: str, reached: str, threshold: str, consequence: str) -> Letter:
    """Return the letter that tells of a threshold of a budget."""
    return Letter(
        "A budget has reached a threshold",
        f"""\
Your budget "{name}" stands at {reached} credits this month, and {threshold} is a threshold of it.

{consequence}

A budget counts from the first of each month (UTC). You are told of a threshold once in a month.
""",
    )


def credit_low(*, ends_at: datetime, now: datetime) -> Letter:
    """Return the letter that tells of the end of the credit."""
    minutes = round((ends_at - now).total_seconds() / 60)
    left = f"{minutes} min" if minutes < _MANY_MINUTES else f"{minutes // 60} h"
    return Letter(
        "Your credit is coming to its end",
        f"""\
If everything goes on as it is, your credit lasts until {ends_at:%Y-%m-%d %H:%M} UTC, about {left} from now.

What cannot be paid by then is stopped; nothing is ever charged beyond your credit. To go on, add credit, or
stop what you do not need.
""",
    )


def credit_ended(*, machines: int, grace_days: float) -> Letter:
    """Return the letter that tells what was stopped for credit, and for how long it is kept."""
    kept = (
        f"for {grace_days:g} days and then deleted, unless they are protected"
        if grace_days
        else "until you delete them"
    )
    return Letter(
        "Machines were stopped: your credit has ended",
        f"""\
Your credit does not pay for everything any longer: {machines} of your machines were stopped.

They are kept {kept}. With new credit they start again.
""",
    )


_ALERTS: Final = {
    "alert.firing": ("An alert fires", "fires"),
    "alert.resolved": ("An alert is resolved", "does not fire any more"),
    "alert.test": ("A test of an alert", "was tried: this is how you are told"),
}


def alert(kind: str, *, policy: str, looks_at: str, targets: Sequence[str], more: int) -> Letter:
    """Return the letter that tells what has become of an alert policy; `kind` is that of the event."""
    subject, what = _ALERTS[kind]
    listed = "\n".join([*targets, *([f"and {more} more"] if more else [])])
    return Letter(
        subject,
        f"""\
Your alert policy "{policy}" {what}. It looks at {looks_at}.

{listed}

GET /alerts shows what fires now. To be told of it by the event stream and webhooks alone, set notify_mail of
the policy to false.
""",
    )


def project_invitation(*, way: str, project: str, inviter: str, role: str, hours: int) -> Letter:
    """Return the letter that invites into a project; `way` is a link or a token."""
    return Letter(
        "You are invited to a project",
        f"""\
{inviter} invites you to work as {role} in the project {project} at Zentry Cloud.

To accept, use this within {hours} hours, with an account of the address that this mail was sent to:

{way}

If you do not know what this is about, do nothing: without you nothing happens.
""",
    )
