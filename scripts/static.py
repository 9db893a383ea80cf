"""What bandit and detect-secrets find, less what was reviewed. `make check` runs it.

bandit's B608 is ruff's S608: a line whose `noqa` names the one, with its reason, was reviewed for both.
A secret that is none (the example of the documentation, the key of a test) is listed below by its file;
whatever else looks like one fails the check, wherever it is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT: Final = Path(__file__).resolve().parent.parent
# Asserts, names that sound like passwords, plain randomness, requests, starting programs: ruff looks at every line of
# these, and the reasons stand there.
_LEFT_TO_RUFF: Final = "B101,B105,B106,B113,B311,B404,B603,B607"
_WRONG_ON_PURPOSE: Final = "scripts/semgrep/examples.py"
_GENERATED: Final = ("requirements/", "docs/reference/", "vendor/", "scripts/console/api.d.ts")
_SHAPES: Final = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "NpmDetector",
    "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector",
    "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
# Texts that look random: in a test they are its data.
_ENTROPY: Final = ({"name": "Base64HighEntropyString", "limit": 4.5}, {"name": "HexHighEntropyString", "limit": 3.0})
REVIEWED: Final[Mapping[str, frozenset[str]]] = {
    "docs/guides/operating.md": frozenset({"Basic Auth Credentials"}),  # the form of a URL
    "src/zentry/accounts/account_schemas.py": frozenset({"Base64 High Entropy String"}),  # examples
    "src/zentry/accounts/personal_tokens_schemas.py": frozenset({"Base64 High Entropy String"}),  # examples
    "src/zentry/billing/vouchers.py": frozenset({"Base64 High Entropy String"}),  # the alphabet of codes
    "src/zentry/webhooks/schemas.py": frozenset({"Base64 High Entropy String"}),  # examples
    "src/zentry/accounts/schemas.py": frozenset({"Base64 High Entropy String", "JSON Web Token"}),  # examples
    "src/zentry/cli/configuration.py": frozenset({"Basic Auth Credentials"}),  # the form of a URL
    "tests/integration/test_vm_ssh_keys.py": frozenset({"Private Key"}),  # that one is refused
    "tests/unit/accounts/test_tokens.py": frozenset({"Private Key"}),  # that one is refused
    "tests/unit/webhooks/test_targets.py": frozenset({"Basic Auth Credentials"}),  # those are refused
    "tests/unit/cli/test_configuration.py": frozenset({"Basic Auth Credentials"}),  # that one is hidden
    "tests/unit/platform/test_logging.py": frozenset({"JSON Web Token"}),  # that one is redacted
    "tests/unit/platform/test_production.py": frozenset({"Basic Auth Credentials"}),  # a setting of the tests
}


def insecure_calls(root: Path) -> Iterator[str]:
    """Return what bandit finds and nobody has reviewed."""
    command = [
        sys.executable,
        "-m",
        "bandit",
        "-q",
        "-r",
        "src",
        "scripts",
        "-x",
        _WRONG_ON_PURPOSE,
        "-f",
        "json",
        "--skip",
        _LEFT_TO_RUFF,
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"bandit did not run: {done.stderr.strip()}")
    for found in json.loads(done.stdout)["results"]:
        if not _is_reviewed(root, found):
            yield f"{found['filename']}:{found['line_number']}: {found['test_id']}: {found['issue_text']}"


def _is_reviewed(root: Path, found: Mapping[str, Any]) -> bool:
    lines = (root / found["filename"]).read_text(encoding="utf-8").splitlines()
    rule = re.compile(rf"# noqa: [A-Z0-9, ]*\bS{found['test_id'][1:]}\b.* - ")
    # The comment stands behind a statement of several lines.
    return any(rule.search(line) for line in lines[found["line_number"] - 1 : max(found["line_range"]) + 1])


def secrets(root: Path, files: Iterable[str]) -> Iterator[str]:
    """Return what looks like a secret and is not known to be none."""
    shapes = [{"name": name} for name in _SHAPES]
    for in_tests, plugins in ((True, shapes), (False, [*shapes, *_ENTROPY])):
        with transient_settings({"plugins_used": plugins}):
            for name in files:
                if name.startswith("tests/") == in_tests and not name.startswith(_GENERATED):
                    yield from _secrets_of(root, name)


def _secrets_of(root: Path, name: str) -> Iterator[str]:
    known = REVIEWED.get(name, frozenset())
    for found in scan_file(str(root / name)):
        if found.type not in known:
            yield f"{name}:{found.line_number}: {found.type}"


def main() -> int:
    """Print what nobody has reviewed; 1 when there is something."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.splitlines() if (ROOT / name).is_file()]
    findings = [*insecure_calls(ROOT), *secrets(ROOT, files)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
