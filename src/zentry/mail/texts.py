"""What mails say: every text of the platform in this one place, as plain text.

What a person has chosen (a name, a project) may stand in a text, never in a subject.
"""

from __future__ import annotations

from zentry.mail.types import Letter


def verify_email(*, link: str, hours: int) -> Letter:
    """Return the letter that proves who reads an address."""
    return Letter(
        "Confirm your e-mail address",
        f"""\
Somebody, most likely you, has given this address for an account at Zentry Cloud.

To confirm that it is yours, open this link within {hours} hours:

{link}

If it was not you, do nothing: without a confirmation nothing happens.
""",
    )
