"""Runs a PostgreSQL server until its standard input ends, then removes everything.

    python postgres_guard.py ACCOUNT DIRECTORY COMMAND...

The parent holds the other end of the input. When the parent stops, or is killed, the input ends:
no server and no directory are left behind. ACCOUNT is empty for the present one.
"""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import subprocess
import sys


def main() -> None:
    account, directory, *command = sys.argv[1:]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, lambda *_: None)  # The parent decides, through the input.
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=account or None,
        group=pwd.getpwnam(account).pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    try:
        while server.poll() is None:
            readable, _, _ = select.select([0], [], [], 0.2)
            if readable and not os.read(0, 1):
                break
    finally:
        server.send_signal(signal.SIGQUIT)  # At once: nothing in there is wanted any more.
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
