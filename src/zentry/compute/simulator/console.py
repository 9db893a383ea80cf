"""What simulated machines write to their serial line: the same boot reads the same, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.compute.simulator.chance import key_of, uniform

_KERNELS: Final = {
    "ubuntu": ("6.8.0-41-generic", "Ubuntu"),
    "debian": ("6.1.0-25-amd64", "Debian GNU/Linux"),
    "centos": ("4.18.0-348.el8.x86_64", "CentOS Linux"),
    "fedora": ("6.2.9-300.fc38.x86_64", "Fedora Linux"),
}
_OTHER: Final = ("6.6.30-lts", "Linux")
_UNITS: Final = (
    "Reached target Local File Systems.",
    "Started Journal Service.",
    "Started Network Configuration.",
    "Reached target Network is Online.",
    "Started OpenSSH server daemon.",
    "Reached target Multi-User System.",
)


@dataclass(frozen=True, slots=True)
class Booted:
    """A machine and its last boot; one that has never booted has no log."""

    vm_id: UUID
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    image: str
    ip_address: str
    booted_at: datetime
    stopped_at: datetime | None
    user_data_bytes: int = 0


def boot_log(seed: int, booted: Booted) -> str:
    """Return what the machine has written since it was last started."""
    return "".join(f"{line}\n" for line in _lines(seed, booted))


def _lines(seed: int, booted: Booted) -> Iterator[str]:
    family, _, release = booted.image.partition("-")
    kernel, distribution = _KERNELS.get(family, _OTHER)
    clock = _Clock(key_of("console", seed, booted.vm_id, booted.booted_at))
    kernel_lines = (
        f"Linux version {kernel} (build@simulator) #1 SMP",
        f"Command line: BOOT_IMAGE=/boot/vmlinuz-{kernel} root=LABEL=root ro console=ttyS0",
        f"Memory: {booted.memory_mib * 1024 - 49_152}K/{booted.memory_mib * 1024}K available",
        f"smp: Brought up 1 node, {booted.vcpus} CPU{'s' if booted.vcpus > 1 else ''}",
        f"virtio_blk virtio1: [vda] {booted.disk_gib * 2_097_152} 512-byte logical blocks ({booted.disk_gib} GiB)",
        "EXT4-fs (vda1): mounted filesystem with ordered data mode",
    )
    for text in kernel_lines:
        yield f"[{clock.later():12.6f}] {text}"
    if booted.ip_address:
        yield f"[{clock.later():12.6f}] virtio_net virtio0 eth0: {booted.ip_address}/12 leased"
    for text in _UNITS:
        clock.later()
        yield f"[  OK  ] {text}"
    if booted.user_data_bytes:
        yield f"[{clock.later():12.6f}] cloud-init: user data of {booted.user_data_bytes} bytes"
    up = timedelta(seconds=clock.seconds)
    yield f"cloud-init finished at {booted.booted_at + up:%a, %d %b %Y %H:%M:%S} +0000. Up {clock.seconds:.2f} seconds"
    yield ""
    yield f"{distribution} {release} {booted.name} ttyS0"
    yield ""
    yield f"{booted.name} login:"
    if booted.stopped_at is not None:
        after = (booted.stopped_at - booted.booted_at).total_seconds()
        yield "[  OK  ] Stopped OpenSSH server daemon."
        yield "[  OK  ] Reached target System Power Off."
        yield f"[{max(after, clock.seconds):12.6f}] reboot: Power down"


class _Clock:
    """The kernel's seconds since boot, which go on by what chance gives."""

    def __init__(self, key: int) -> None:
        self._key = key
        self._draws = 0
        self.seconds = 0.0

    def later(self) -> float:
        now = self.seconds
        self._draws += 1
        self.seconds += 0.002 + 0.4 * uniform(self._key, self._draws)
        return now
