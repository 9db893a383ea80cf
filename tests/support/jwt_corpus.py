"""Access tokens that must not be accepted: named cases by kind of attack, and mutations without end.

Made from one good token and the key that signed it, so that each case differs from what is accepted in
the one thing that its name says. Foreign algorithms are signed by two independent libraries.
"""

from __future__ import annotations

import base64
import hmac
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey

OTHER_KEY: Final = "somebody else's key, which is long enough to sign"
_PEM: Final = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Material:
    """What the cases are made from."""

    good: str
    key: str
    now: int
    other_user: str
    other_session: str
    ended_session: str
    refresh_token: str
    sentinel: str
    """An address on which somebody listens, who should never be called."""

    @property
    def header(self) -> dict[str, Any]:
        """The header of the good token."""
        return dict(jwt.get_unverified_header(self.good))

    @property
    def claims(self) -> dict[str, Any]:
        """Its claims."""
        return dict(jwt.decode(self.good, options={"verify_signature": False}))


def named_cases(material: Material) -> dict[str, str]:
    """Return every named case."""
    cases: dict[str, str] = {}
    for maker in (_unsigned, _algorithms, _keys, _key_material, _key_ids, _headers, _claims, _subjects, _spellings):
        for name, token in maker(material):
            assert name not in cases, name
            assert token != material.good, name
            cases[name] = token
    return cases


def mutations(material: Material, *, count: int, seed: int) -> Iterator[str]:
    """Return tokens that differ from the good one by a few random edits."""
    chance = Random(seed)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/%~ {}\"'\\\u00e9"
    made = 0
    while made < count:
        text = material.good if chance.random() < 0.7 else _edited_inside(material, chance)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            text = _edited(text, alphabet, chance)
        if text != material.good:
            made += 1
            yield text


def _edited(text: str, alphabet: str, chance: Random) -> str:
    at = chance.randrange(len(text)) if text else 0
    kind = chance.randrange(6)
    if kind == 0 and text:
        return text[:at] + chr(ord(text[at]) ^ 1 << chance.randrange(7)) + text[at + 1 :]
    if kind == 1:
        return text[:at] + chance.choice(alphabet) + text[at:]
    if kind == 2:
        return text[:at] + text[at + chance.randrange(1, 9) :]
    if kind == 3:
        end = at + chance.randrange(1, 40)
        return text[:at] + text[at:end] * 2 + text[end:]
    if kind == 4:
        parts = text.split(".")
        chance.shuffle(parts)
        return ".".join(parts)
    return text[:at] + chance.choice(alphabet) + text[at + 1 :]


def _edited_inside(material: Material, chance: Random) -> str:
    """Change a byte of what is encoded, and keep the signature."""
    parts = material.good.split(".")
    number = chance.randrange(3)
    raw = bytearray(base64.urlsafe_b64decode(parts[number] + "=="))
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    parts[number] = encode(bytes(raw))
    return ".".join(parts)


def encode(raw: bytes) -> str:
    """Return the spelling of a segment."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def sign(header: Any, payload: Any, key: str | bytes, *, digest: str = "sha256") -> str:
    """Sign whatever it is, as somebody who holds the key could."""
    signed = f"{encode(_raw(header))}.{encode(_raw(payload))}"
    secret = key.encode() if isinstance(key, str) else key
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), digest))}"


def _raw(part: Any) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()


def _unsigned(material: Material) -> Iterator[tuple[str, str]]:
    signature = material.good.rpartition(".")[2]
    names: tuple[Any, ...] = (
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "non\u0435",
        "",
        None,
        False,
        0,
        [],
        ["none"],
        {},
        "HS0",
    )
    for alg in names:
        for ending, text in (("", "no signature"), (signature, "the old signature"), ("AA", "some signature")):
            body = f"{encode(_raw({**material.header, 'alg': alg}))}.{encode(_raw(material.claims))}"
            yield f"alg {alg!r} with {text}", f"{body}.{ending}"
    without = {name: value for name, value in material.header.items() if name != "alg"}
    yield "no alg at all, signed", sign(without, material.claims, material.key)
    yield "the good token without its signature", material.good.rpartition(".")[0] + "."
    yield "the good token without its last dot", material.good.rpartition(".")[0]


def _algorithms(material: Material) -> Iterator[tuple[str, str]]:
    rsa_key = rsa.generate_private_key(65537, 2048)
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
    keys: dict[str, Any] = {f"{family}{size}": rsa_key for family in ("RS", "PS") for size in (256, 384, 512)}
    keys |= {alg: ec.generate_private_key(curve) for alg, curve in curves.items()}
    keys["EdDSA"] = ed25519.Ed25519PrivateKey.generate()
    for alg, key in keys.items():
        headers: Mapping[str, dict[str, Any]] = {
            "our kid": {"typ": "at+jwt", "kid": material.header["kid"]},
            "no kid": {"typ": "at+jwt"},
            "a kid of its own": {"typ": "at+jwt", "kid": "mine"},
        }
        for name, header in headers.items():
            yield f"{alg} by somebody else with {name}", jwt.encode(material.claims, key, algorithm=alg, headers=header)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        yield f"HS256 keyed with a public key of {alg}", sign(material.header, material.claims, public)
    for digest, alg in (("sha384", "HS384"), ("sha512", "HS512"), ("sha1", "HS1"), ("md5", "HMD5")):
        yield f"{alg} with our key", sign({**material.header, "alg": alg}, material.claims, material.key, digest=digest)
        yield f"{alg} that says HS256", sign(material.header, material.claims, material.key, digest=digest)
    names: tuple[Any, ...] = (
        "hs256",
        "HS256 ",
        "Hs256",
        "HS-256",
        "HMAC",
        "RS256",
        "EdDSA",
        "ES256",
        "A256GCM",
        "dir",
        256,
    )
    for one in names:
        yield f"our key under the name {one!r}", sign({**material.header, "alg": one}, material.claims, material.key)


def _keys(material: Material) -> Iterator[tuple[str, str]]:
    key = material.key
    guesses: dict[str, str | bytes] = {
        "no key": b"",
        "a NUL": b"\0",
        "32 NULs": b"\0" * 32,
        "the word secret": "secret",
        "the word null": "null",
        "the issuer": "zentry",
        "the kid": material.header["kid"],
        "the subject": material.claims["sub"],
        "another key": OTHER_KEY,
        "the key with a line break": key + "\n",
        "the key with a space": key + " ",
        "the key twice": key * 2,
        "the key but its end": key[:-1],
        "the key but its start": key[1:],
        "the key reversed and upper": key[::-1].upper() + "!",
        "the key in base64": base64.b64encode(key.encode()),
        "the key in hex": key.encode().hex(),
        "the good signature": base64.urlsafe_b64decode(material.good.rpartition(".")[2] + "=="),
        "the good token": material.good,
    }
    for name, guess in guesses.items():
        yield f"keyed with {name}", sign(material.header, material.claims, guess)


def _key_material(material: Material) -> Iterator[tuple[str, str]]:
    own = {"kty": "oct", "k": encode(OTHER_KEY.encode())}
    url = material.sentinel
    fields: dict[str, Any] = {
        "jwk": own,
        "jku": f"{url}/jwks.json",
        "x5u": f"{url}/chain.pem",
        "x5c": [base64.b64encode(b"certificate").decode()],
        "x5t": encode(b"thumbprint"),
        "x5t#S256": encode(b"thumbprint"),
        "iss": url,
        "url": url,
        "key": OTHER_KEY,
        "secret": OTHER_KEY,
    }
    for name, value in fields.items():
        header = {**material.header, name: value}
        without_kid = {field: one for field, one in header.items() if field != "kid"}
        yield f"{name} that names the attacker's key", sign(header, material.claims, OTHER_KEY)
        yield f"{name} and no kid", sign(without_kid, material.claims, OTHER_KEY)
        yield f"{name} beside our signature", sign(header, material.claims, material.key)


def _key_ids(material: Material) -> Iterator[tuple[str, str]]:
    kid = material.header["kid"]
    ids: list[Any] = [
        *(
            "",
            " ",
            "0",
            "mine",
            "../../../../dev/null",
            "/dev/null",
            "/etc/passwd",
            "file:///dev/null",
            "C:\\Windows\\win.ini",
        ),
        *(
            "' OR '1'='1",
            "' UNION SELECT 'secret' -- ",
            "x'; DROP TABLE users; --",
            "$(id)",
            "`id`",
            "|id",
            "%00",
            "\0",
        ),
        *(
            f"{kid}\0",
            f"{kid} ",
            f" {kid}",
            kid.upper() + "X",
            kid[:-1],
            kid * 2,
            f"{kid}/../{kid}",
            "{{7*7}}",
            "${jndi:ldap://x}",
        ),
        *("é", "\u202e" + kid, "A" * 300, None, True, False, 0, 1, -1, 1.5, [], [kid], {}, {"kid": kid}),
        f"{material.sentinel}/kid",
    ]
    for number, one in enumerate(ids):
        header = {**material.header, "kid": one}
        yield f"kid {number} with our key: {str(one)[:30]!r}", sign(header, material.claims, material.key)
        yield f"kid {number} with an empty key: {str(one)[:30]!r}", sign(header, material.claims, b"")
    without = {name: value for name, value in material.header.items() if name != "kid"}
    yield "no kid", sign(without, material.claims, material.key)


def _headers(material: Material) -> Iterator[tuple[str, str]]:
    for typ in (
        "JWT",
        "jwt",
        "",
        "AT+JWT",
        "at+jwt ",
        "application/at+jwt",
        "at+jwt;x=1",
        "rt+jwt",
        "id+jwt",
        None,
        1,
        ["at+jwt"],
    ):
        yield f"typ {typ!r}", sign({**material.header, "typ": typ}, material.claims, material.key)
    extra: dict[str, Any] = {
        "crit": ["b64"],
        "crit of nothing": [],
        "b64": False,
        "b64 true": True,
        "zip": "DEF",
        "cty": "JWT",
        "enc": "A256GCM",
        "epk": {},
        "p2c": 2**31,
        "apu": "x",
        "nonce": "x",
        "exp": 99999999999,
    }
    for name, value in extra.items():
        field = name.partition(" ")[0]
        yield f"header {name}", sign({**material.header, field: value}, material.claims, material.key)
        both = {**material.header, field: value, "crit": [field]}
        yield f"header {name}, said to be critical", sign(both, material.claims, material.key)
    for name, header in {"a list": [], "a text": "x", "a number": 1, "null": None, "true": True, "empty": {}}.items():
        yield f"a header that is {name}", sign(header, material.claims, material.key)
    text = json.dumps(material.header)
    yield "a header with a space", sign(text.encode(), material.claims, material.key)
    doubled = text[:-1].encode() + b',"alg":"HS256"}'
    yield "a header that says alg twice", sign(doubled.replace(b" ", b""), material.claims, material.key)
    yield "a header in UTF-16", sign(text.encode("utf-16"), material.claims, material.key)
    yield "a header with a byte order mark", sign(b"\xef\xbb\xbf" + text.encode(), material.claims, material.key)


def _claims(material: Material) -> Iterator[tuple[str, str]]:
    good, now = material.claims, material.now
    for name in good:
        yield f"no {name}", sign(material.header, {n: v for n, v in good.items() if n != name}, material.key)
        for value in (None, "", "x", 0, -1, 1.5, True, [], [good[name]], {}, {"$gt": ""}, "\0", "9" * 400):
            yield (
                f"{name} of {str(value)[:20]!r} ({type(value).__name__})",
                sign(material.header, {**good, name: value}, material.key),
            )
    times: dict[str, dict[str, Any]] = {
        "ended a second ago": {"iat": now - 100, "exp": now - 1},
        "ends now": {"iat": now - 100, "exp": now},
        "ended long ago": {"iat": 1, "exp": 2},
        "ends before it starts": {"iat": now + 20, "exp": now + 10},
        "starts in an hour": {"iat": now + 3600, "exp": now + 7200},
        "lives a thousand years": {"exp": now + 10**11},
        "lives for ever": {"exp": 1e400},
        "ends at no number": {"exp": float("nan")},
        "ends at minus infinity": {"exp": float("-inf")},
        "ends at a fraction": {"exp": now + 60.5},
        "ends at a text": {"exp": str(now + 60)},
        "ends at a date": {"exp": "2099-01-01T00:00:00Z"},
        "ends at 400 digits": {"exp": 10**400},
        "starts at a text": {"iat": str(now)},
        "starts before time": {"iat": -(2**63)},
        "void until later": {"nbf": now + 10_000},
        "void until a text": {"nbf": "x"},
    }
    for name, change in times.items():
        yield name, sign(material.header, {**good, **change}, material.key)
    for name, extra in {
        "role": "admin",
        "is_admin": True,
        "admin": True,
        "scope": "*",
        "scopes": ["*"],
        "jti": "1",
        "nbf": now - 10,
        "azp": "x",
        "amr": ["mfa"],
        "act": {"sub": material.other_user},
        "cnf": {},
        "permissions": [],
        "__proto__": {},
        "": "",
    }.items():
        yield f"a claim {name!r} too many", sign(material.header, {**good, name: extra}, material.key)
    payloads: dict[str, Any] = {"a list": [good], "a text": "x", "a number": 1, "null": None, "empty": {}}
    for name, payload in payloads.items():
        yield f"claims that are {name}", sign(material.header, payload, material.key)


def _subjects(material: Material) -> Iterator[tuple[str, str]]:
    good = material.claims
    changes = {
        "somebody else's session": {"sid": material.other_session},
        "somebody else's account": {"sub": material.other_user},
        "an ended session": {"sid": material.ended_session},
        "an account that never was": {"sub": "00000000-0000-7000-8000-000000000000"},
        "a session that never was": {"sid": "00000000-0000-7000-8000-000000000000"},
        "the session as account": {"sub": good["sid"], "sid": good["sub"]},
        "an account in braces": {"sub": "{" + good["sub"] + "}"},
        "an account as URN": {"sub": "urn:uuid:" + good["sub"]},
        "an account without hyphens": {"sub": good["sub"].replace("-", "")},
        "an account by SQL": {"sub": f"{good['sub']}' OR '1'='1"},
        "an account by wildcard": {"sub": "%"},
        "another issuer": {"iss": "https://zentry.example"},
        "an issuer in capitals": {"iss": "ZENTRY"},
        "another audience": {"aud": "zentry-admin"},
        "audiences in a list": {"aud": ["zentry-api", "x"]},
    }
    for name, change in changes.items():
        yield name, sign(material.header, {**good, **change}, material.key)


def _spellings(material: Material) -> Iterator[tuple[str, str]]:
    good = material.good
    head, body, tail = good.split(".")
    claims = json.dumps(material.claims, separators=(",", ":")).encode()
    texts = {
        "nothing": "",
        "a dot": ".",
        "two dots": "..",
        "five dots": ".....",
        "one segment": head,
        "no body": f"{head}..{tail}",
        "no header": f".{body}.{tail}",
        "four segments": f"{good}.{tail}",
        "five segments": f"{good}.{head}.{tail}",
        "segments in another order": f"{body}.{head}.{tail}",
        "padding on the header": f"{head}=.{body}.{tail}",
        "padding on the body": f"{head}.{body}=.{tail}",
        "padding on the signature": f"{good}=",
        "a line break at the end": f"{good}\n",
        "a line break inside": f"{head}.\n{body}.{tail}",
        "a space at the end": f"{good} ",
        "a space at the start": f" {good}",
        "a tab": f"{good}\t",
        "a NUL at the end": f"{good}\0",
        "quotes": f'"{good}"',
        "a comma list": f"{good},{good}",
        "the scheme twice": f"Bearer {good}",
        "in capitals": good.upper(),
        "percent encoded": good.replace(".", "%2E"),
        "full-width dots": good.replace(".", "\uff0e"),
        "a lone surrogate": f"{good}\ud800",
        "a zero-width space": f"{good}\u200b",
        "a megabyte": "A" * 1_000_000,
        "a megabyte of dots": "." * 1_000_000,
        "a megabyte of signature": good + "A" * 1_000_000,
        "the refresh token": material.refresh_token,
        "a session id": material.claims["sid"],
        "an account id": material.claims["sub"],
        "JSON serialization": json.dumps({"payload": body, "protected": head, "signature": tail}),
        "general JSON serialization": json.dumps(
            {"payload": body, "signatures": [{"protected": head, "signature": tail}]}
        ),
        "JSON": json.dumps(material.claims),
        "base64 of the token": encode(good.encode()),
        "the word null": "null",
        "true": "true",
        "a signature of nothing": f"{head}.{body}.",
        "a signature cut short": good[:-1],
        "a signature with a character more": good + "A",
        "half of the signature": good[:-20],
        "a nested token": sign({**material.header, "cty": "JWT"}, good.encode(), material.key),
        "standard base64": f"{head}.{body}+/.{tail}",
        "a deeply nested body": sign(material.header, b"[" * 50_000, material.key),
        "a body of digits": sign(material.header, b"9" * 400, material.key),
        "a body that is no text": sign(material.header, b"\xff\xfe", material.key),
        "a compressed body": sign(material.header, zlib.compress(claims), material.key),
        "a body with a space": sign(material.header, b" " + claims, material.key),
        "a body with a line break": sign(material.header, claims + b"\n", material.key),
        "a subject twice": sign(
            material.header, b'{"sub":"' + material.other_user.encode() + b'",' + claims[1:], material.key
        ),
        "an end twice": sign(material.header, claims[:-1] + b',"exp":99999999999}', material.key),
        "an escaped name": sign(material.header, claims.replace(b'"sub"', b'"\\u0073ub"'), material.key),
        "claims in another order": sign(material.header, dict(reversed(material.claims.items())), material.key),
        "a body in UTF-16": sign(material.header, claims.decode().encode("utf-16"), material.key),
        "a body with a byte order mark": sign(material.header, b"\xef\xbb\xbf" + claims, material.key),
        "a body with NaN": sign(material.header, claims[:-1] + b',"x":NaN}', material.key),
    }
    yield from texts.items()
    # The last character of a signature of 32 bytes has two bits to spare: three other spellings decode alike.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = alphabet.index(tail[-1])
    for loose in (1, 2, 3):
        yield f"a signature with loose bits {loose}", good[:-1] + alphabet[at | loose]
    secret = OctKey.import_key(material.key.encode().ljust(32, b"0")[:32])
    for alg, enc in (("dir", "A256GCM"), ("A256KW", "A256GCM"), ("A256GCMKW", "A128CBC-HS256")):
        protected = {**material.header, "alg": alg, "enc": enc}
        try:
            yield f"encrypted by {alg}", jwe.encrypt_compact(protected, claims, secret, algorithms=[alg, enc])
        except ValueError:  # This key does not fit the algorithm; what a token of it looks like is enough.
            yield f"encrypted by {alg}", f"{encode(_raw(protected))}..{encode(b'iv' * 6)}.{body}.{encode(b't' * 16)}"
