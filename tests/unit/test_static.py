"""The scan for secrets finds what it is for, and the review of insecure calls looks at the reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from scripts import static

ROOT = Path(__file__).parents[2]
# In two parts, so that this file holds none of them.
PLANTED = [
    ("AKIA", "IOSFODNN7EXAMPLQ"),
    ("aws_secret_access_key = 'wJalrXUtnFEMI/K7MDENG/", "bPxRfiCYEXAMPLEKEY'"),
    ("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("gho_", "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("glpat-", "A1b2C3d4E5f6G7h8I9j0"),
    ("-----BEGIN RSA ", "PRIVATE KEY-----"),
    ("-----BEGIN OPENSSH ", "PRIVATE KEY-----"),
    ("-----BEGIN EC ", "PRIVATE KEY-----"),
    (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
        "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    ),
    ("postgresql://zentry:", "Tr0ub4dor@db.internal/zentry"),
    ("https://admin:", "hunter2hunter2@example.com/"),
    ("xoxb-", "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"),
    ("sk_live_", "4eC39HqLyjWDarjtT1zdp7dcABCDEF"),
    ("SG.", "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr"),
    ("https://hooks.slack.com/services/", "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"),
    ("//registry.example.com/:_auth", "Token=npm_xMN1kBqoNpd5Gwq4aWhyJrkSPcCvVXQtP0ab"),
    ("110201543:AAHdqTcvCH1vGWJxfSeofSAs0", "K5PALDsawX"),
    ("AccountKey=lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWn", "tUO1F8j8rQ=="),
    ("token = 'Zk3vQ9xT1mB7", "nR5wL8pY2cF6hJ4dS0aG'"),
    ("key = '9f86d081884c7d659a2feaa0c55ad015", "a3bf4f1b2b0b822cd15d6c15b0f00a08'"),
]


def test_each_of_twenty_planted_secrets_is_found(tmp_path: Path) -> None:
    names = []
    for number, parts in enumerate(PLANTED):
        name = f"planted_{number}.py"
        (tmp_path / name).write_text(f"x = '''\n{''.join(parts)}\n'''\n")
        names.append(name)

    found = {finding.partition(":")[0] for finding in static.secrets(tmp_path, names)}

    assert sorted(found) == sorted(names)


def test_an_insecure_call_passes_only_with_the_reason_beside_it(tmp_path: Path) -> None:
    for folder in ("src", "scripts"):
        (tmp_path / folder).mkdir()
    query = 'def f(x, name):\n    return x.execute(f"SELECT * FROM t WHERE name = {name}")'
    (tmp_path / "src" / "bare.py").write_text(f"{query}\n")
    (tmp_path / "src" / "silent.py").write_text(f"{query}  # noqa: S608\n")
    (tmp_path / "src" / "reviewed.py").write_text(f"{query}  # noqa: S608 - the name is ours\n")

    found = {finding.partition(":")[0] for finding in static.insecure_calls(tmp_path)}

    assert found == {"src/bare.py", "src/silent.py"}


def test_the_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"
    program = Path(sys.prefix) / "bin" / "cyclonedx-py"
    lock = ROOT / "requirements" / "run.txt"

    subprocess.run([program, "requirements", lock, "--of", "JSON", "-o", target], check=True, capture_output=True)

    components = {part["name"] for part in json.loads(target.read_text())["components"]}
    locked = {line.partition("==")[0].partition("[")[0] for line in lock.read_text().splitlines() if "==" in line}
    assert len(locked) > 40
    assert {name.strip().lower() for name in locked} <= {name.lower() for name in components}
