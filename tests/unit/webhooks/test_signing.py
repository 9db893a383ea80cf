"""Signatures are those of Standard Webhooks."""

from __future__ import annotations

from zentry.webhooks.signing import secret_text, sign


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    headers = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_sign_side_by_side() -> None:
    old, new = secret_text(b"o" * 32), secret_text(b"n" * 32)

    both = sign([new, old], message_id="m", timestamp=1, body=b"{}")["webhook-signature"]

    alone = [sign([secret], message_id="m", timestamp=1, body=b"{}")["webhook-signature"] for secret in (new, old)]
    assert both.split(" ") == alone
