"""The layer that all images but one share: Debian's packages, without what containers never open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

from local.images.layer import Entry, add_entries

SUITE = "bookworm"

PACKAGES = (
    # What an image's scripts are run with.
    "bash",
    "coreutils",
    "dash",
    "sed",
    # The database without galera, perl and the init scripts of `mariadb-server`.
    "mariadb-client-core",
    "mariadb-server-core",
    "redis-server",
    "prometheus-mysqld-exporter",
    "prometheus-redis-exporter",
)

# Folders and files of these packages, and of what they depend on, that no container opens.
_LEFT_OUT = (
    "bin/tar",
    "etc/cron",
    "etc/init.d",
    "etc/logrotate.d",
    "etc/systemd",
    "lib/systemd",
    "usr/bin/dpkg",
    "usr/bin/innochecksum",
    "usr/bin/mariadb-check",
    "usr/bin/mariadb-upgrade",
    "usr/bin/my_print_defaults",
    "usr/bin/perl",
    "usr/bin/redis-benchmark",
    "usr/bin/redis-check-aof",
    "usr/bin/resolveip",
    "usr/include",
    *(
        f"usr/lib/{machine}-linux-gnu/{part}"
        for machine in ("x86_64", "aarch64")
        for part in ("gconv", "libperl", "perl")
    ),
    "usr/sbin/dpkg-",
    "usr/share/bash-completion",
    "usr/share/common-licenses",
    "usr/share/dict",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/mysql/fill_help_tables.sql",
    "usr/share/mysql/mysql_sys_schema.sql",
    "usr/share/mysql/mysql_test",
    "usr/share/perl",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
)

_USERS = """\
root:x:0:0:root:/root:/bin/sh
mysql:x:999:999:mysql:/var/lib/mysql:/bin/false
redis:x:999:999:redis:/data:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUPS = "root:x:0:\ndatabase:x:999:\nnogroup:x:65534:\n"

# What maintainer scripts would make; they are not run.
_MADE = (
    Entry("/etc/passwd", _USERS.encode(), mode=0o644),
    Entry("/etc/group", _GROUPS.encode(), mode=0o644),
    # kubelet mounts its own over it.
    Entry("/etc/hosts", b"127.0.0.1 localhost\n", mode=0o644),
    Entry("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n", mode=0o644),
    Entry("/root", mode=0o700),
    Entry("/run"),
    Entry("/var/run", link="/run"),
    Entry("/tmp", mode=0o1777),  # noqa: S108 - of the image
)

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Of Debian's package debian-archive-keyring, which Ubuntu has too."""

# Of the machine's apt settings, those without which it may not reach or accept its own sources.
_APT_SETTING = re.compile(r"Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date)\b.*;")

_LOG_TAIL_LINES = 15


class DebianRootError(RuntimeError):
    """Debian's packages could not be had; the message says what to do."""


def recipe() -> str:
    """Everything of ours that the layer's content depends on."""
    return repr((SUITE, PACKAGES, _LEFT_OUT, _MADE))


def write_debian_root(file: Path, log: Path) -> None:
    """Write the layer, from the machine's own sources of packages if they have the release.

    Args:
        file: where to.
        log: what mmdebstrap says.

    Raises:
        DebianRootError: there is no mmdebstrap, nothing to verify the release with, or a package could not be had.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise DebianRootError(
            "images are made of Debian's packages by mmdebstrap, which is not on PATH. Type:\n"
            "  apt-get install --yes mmdebstrap\nthen run the same command again."
        )
    command = [
        program,
        # Files only: no maintainer script runs, and nothing needs a working system around it.
        "--variant=extract",
        f"--include={','.join(PACKAGES)}",
        *(f"--aptopt={setting}" for setting in _apt_settings()),
        SUITE,
        "-",
        *apt_sources(),
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output) as process,
    ):
        failure: Exception | None = None
        try:
            _copy(cast("IO[bytes]", process.stdout), file)
        except tarfile.TarError as error:
            failure = error
        except BaseException:
            process.terminate()
            raise
        code = process.wait()
    if code != 0 or failure is not None:
        tail = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
        root = "" if os.geteuid() == 0 else " It may need to be root."
        raise DebianRootError(f"mmdebstrap ended with {code}.{root} The end of its log {log}:\n{tail}")


def _copy(stream: IO[bytes], file: Path) -> None:
    present: dict[str, None] = {}
    made = {entry.path.lstrip("/") for entry in _MADE}
    with (
        tarfile.open(fileobj=stream, mode="r|") as source,
        tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in source:
            member.name = member.name.removeprefix("./")
            if member.name in {"", "."} or member.name in made or member.name.startswith(_LEFT_OUT):
                continue
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                continue
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            member.mtime, member.uname, member.gname, member.pax_headers = 0, "", "", {}
            if member.isdir():
                present[member.name.rstrip("/")] = None
            target.addfile(member, source.extractfile(member) if member.isreg() else None)
        add_entries(target, _MADE, present)


def apt_sources(folder: Path = Path("/etc/apt"), keyring: Path = _KEYRING) -> list[str]:
    """Return sources as mmdebstrap takes them: the machine's files, or Debian's own where they lack the release."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.*"))]
    found = [file for file in files if file.suffix in {".list", ".sources"} and file.is_file() and _has_suite(file)]
    if found:
        return list(map(str, found))
    if not keyring.exists():
        raise DebianRootError(
            f"no file under {folder} names a source of Debian's release {SUITE} (component main), and Debian's own "
            f"cannot be verified without {keyring}. Type:\n  sudo make node-packages\nthen run the same command again."
        )
    return [f"deb [signed-by={keyring}] http://deb.debian.org/debian {SUITE} main"]


def _has_suite(file: Path) -> bool:
    lines: Iterable[str] = (line for line in file.read_text().splitlines() if not line.startswith("#"))
    words = set(" ".join(lines).split())
    return {SUITE, "main"} <= words


def _apt_settings() -> list[str]:
    program = shutil.which("apt-config")
    if program is None:
        return []
    dump = subprocess.run([program, "dump"], capture_output=True, text=True, check=True).stdout
    return [line for line in dump.splitlines() if _APT_SETTING.fullmatch(line)]
