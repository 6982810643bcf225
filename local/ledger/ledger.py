"""The ledger: everything that the stand-in cloud holds, and that the real one would bill for or leave behind."""

from __future__ import annotations

import json
import os
import secrets
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from local.machine.certificates import write_private
from local.machine.file_lock import file_lock

CLUSTER: Final = "gcp:container/cluster:Cluster"
"""Type of a GKE cluster's entry."""

NODE_POOL: Final = "gcp:container/nodePool:NodePool"
"""Type of a node pool's entry."""

DISK: Final = "gcp:compute/disk:Disk"
"""Type of a disk's entry, whether the program or a cluster's driver made it."""

SERVICE: Final = "gcp:projects/service:Service"
"""Type of an API's entry."""

AUTHORITIES_VARIABLE: Final = "SSL_CERT_FILE"
"""Environment variable by which Go's and Python's TLS find whom to trust."""

_ALWAYS_ON: Final = ("serviceusage", "cloudresourcemanager")
"""APIs that are on unless they were switched off: whoever installs is told to switch them on before."""

LEDGER_VARIABLE: Final = "DRAGONFLY_CLOUD_LEDGER"
"""Environment variable with the ledger's path, for plug-ins and for the command that hands out credentials."""

_FREE_OF_CHARGE: Final = frozenset({SERVICE})
"""Types that cost nothing and belong to the project: an API that was switched on stays on."""

_LOCK_SECONDS: Final = 30.0
_OPERATION_SECONDS: Final = 600.0


class NoLedgerError(RuntimeError):
    """The environment names no ledger."""


@dataclass(frozen=True)
class Entry:
    """One thing in the cloud.

    Attributes:
        type: the resource's type token.
        id: the provider's ID, `projects/p/zones/z/disks/d`.
        properties: inputs and outputs by their names in the SDK, as last read.
        inputs: what was asked for.
        owner: ID of the entry that goes with this one's end, if any: a cluster of its node pools and firewall rules.
        status: `RUNNING`; `PROVISIONING` or `STOPPING` while that goes on, also when whoever did it was killed;
            `DISABLED` for an API.
    """

    type: str
    id: str
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    owner: str = ""
    status: str = "RUNNING"

    @property
    def name(self) -> str:
        """The last part of the ID."""
        return self.id.rpartition("/")[2]


class Entries:
    """The ledger's content while its lock is held; changes are written when it is let go."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def get(self, entry_id: str) -> Entry | None:
        """Return the entry of that ID, or None."""
        return self._entries.get(entry_id)

    def put(self, entry: Entry) -> None:
        """Enter something, or change what is there under its ID."""
        self._entries[entry.id] = entry

    def remove(self, entry_id: str) -> None:
        """Strike out an entry and everything it owns; one that is not there is no error."""
        self._entries.pop(entry_id, None)
        for owned in [entry.id for entry in self._entries.values() if entry.owner == entry_id]:
            self.remove(owned)

    def is_on(self, project: str, api: str) -> bool:
        """Whether an API is switched on; its name is without `.googleapis.com`."""
        entry = self.get(f"{project}/{api}.googleapis.com")
        return api in _ALWAYS_ON if entry is None else entry.status == "RUNNING"

    def of_type(self, *types: str) -> list[Entry]:
        """Return all entries of some types."""
        return [entry for entry in self._entries.values() if entry.type in types]

    def all(self) -> list[Entry]:
        """Return everything."""
        return list(self._entries.values())


class Ledger:
    """The ledger in one file; any number of processes may work with it."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first entry.

        Args:
            path: the JSON file. Its folder holds everything else of the cloud.
        """
        self.path = path.resolve()

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Ledger:
        """Return the ledger that the environment names.

        Raises:
            NoLedgerError: it names none.
        """
        path = environment.get(LEDGER_VARIABLE)
        if not path:
            raise NoLedgerError(f"{LEDGER_VARIABLE} names no ledger of the stand-in cloud; `make env` sets it")
        return cls(Path(path))

    @property
    def folder(self) -> Path:
        """Where the cloud keeps everything."""
        return self.path.parent

    def switch_off(self, project: str, *apis: str) -> None:
        """Switch APIs off, as they are in a fresh project."""
        with self.change() as entries:
            for api in apis:
                entries.put(Entry(SERVICE, f"{project}/{api}.googleapis.com", status="DISABLED"))

    @contextmanager
    def operation(self, entry_id: str) -> Generator[None]:
        """Be the only one who brings a resource to where it should be; waits for whoever is at it."""
        with file_lock(self.folder / f"{entry_id.replace('/', '_')}.lock", _OPERATION_SECONDS):
            yield

    @property
    def access_token(self) -> Path:
        """File with the token that every cluster of this cloud takes for its administrator's; made when missing."""
        file = self.folder / "access-token"
        # Asked for while the ledger's own lock is held, too.
        with self._locked("access-token.lock"):
            if not file.exists():
                write_private(file, secrets.token_urlsafe(32).encode())
        return file

    @property
    def authorities(self) -> Path:
        """File with whom programs trust that talk to this cloud: everybody else's, and who signs for its clusters.

        The certificate of a DNS endpoint is signed as those of the web are: a kubeconfig does not say by whom. The file
        begins with whom this process trusts.
        """
        file = self.folder / "authorities.pem"
        with self._locked("authorities.lock"):
            if not file.exists():
                usual = Path(os.environ.get(AUTHORITIES_VARIABLE) or ssl.get_default_verify_paths().openssl_cafile)
                write_private(file, usual.read_bytes() if usual.exists() else b"")
        return file

    def trust(self, authority: Path) -> None:
        """Add to them who signs for a cluster.

        Args:
            authority: PEM file.
        """
        file, added = self.authorities, authority.read_bytes()
        with self._locked("authorities.lock"):
            known = file.read_bytes()
            if added not in known:
                write_private(file, known + b"\n" + added)

    @contextmanager
    def change(self) -> Generator[Entries]:
        """Hold the lock, and write what has changed at the end; nothing is written after an exception."""
        with self._locked():
            entries = self._load()
            yield Entries(entries)
            document = {entry_id: asdict(entry) for entry_id, entry in entries.items()}
            write_private(self.path, json.dumps(document, indent=1).encode())

    def read(self) -> Entries:
        """Return the content as it is now. A file is replaced as a whole, so that this needs no lock."""
        return Entries(self._load())

    def billed(self) -> list[str]:
        """Return the IDs of everything that would be billed for or left behind, in order."""
        return sorted(entry.id for entry in self.read().all() if entry.type not in _FREE_OF_CHARGE)

    def _load(self) -> dict[str, Entry]:
        try:
            document = cast("dict[str, dict[str, Any]]", json.loads(self.path.read_text()))
        except FileNotFoundError:
            return {}
        return {entry_id: Entry(**fields) for entry_id, fields in document.items()}

    @contextmanager
    def _locked(self, name: str = "lock") -> Generator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self.folder / name, _LOCK_SECONDS):
            yield
