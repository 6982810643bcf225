"""Data of an installation that must survive what is done to it."""

from __future__ import annotations

import time

from dragonfly.parts import databases
from tests.nodes.client_pod import ClientPod

ROWS = 1000
# Redis forces what it has written to the disk once a second, which is what `appendfsync everysec` promises: what it
# took less than a second before the power failed may be lost.
SYNC_SECONDS = 1.5


class Survivors:
    """Rows of MySQL and keys of Redis that a fault must not take."""

    def __init__(self, client: ClientPod, database_password: str, redis_password: str) -> None:
        """Take a pod that asks, and what it signs in with; nothing is written yet."""
        self._client = client
        self._database_password = database_password
        self._redis_password = redis_password

    def write(self, value: str) -> None:
        """Gives each row and key a value that it did not have before, so that none is on the disk already."""
        rows = ", ".join(f"({number}, '{value} {number}')" for number in range(ROWS))
        self._sql(
            "CREATE TABLE IF NOT EXISTS survivors (number INT PRIMARY KEY, value VARCHAR(100)) ENGINE=InnoDB;\n"
            f"REPLACE INTO survivors VALUES {rows};\n"
        )
        commands = "".join(f'SET survivor:{number} "{value} {number}"\n' for number in range(ROWS))
        answers = self._redis(commands)
        assert answers == "OK\n" * ROWS, answers[:200]
        time.sleep(SYNC_SECONDS)

    def lost(self, value: str) -> list[str]:
        """What is missing, or not as it was written last."""
        expected = [f"{value} {number}" for number in range(ROWS)]
        rows = self._sql("SELECT value FROM survivors ORDER BY number;\n").splitlines()
        keys = self._redis(f"MGET {' '.join(f'survivor:{number}' for number in range(ROWS))}\n").splitlines()
        faults: list[str] = []
        for what, found in (("rows", rows), ("keys", keys)):
            if found != expected:
                kept = len(set(expected) & set(found))
                faults.append(f"{ROWS - kept} of {ROWS} {what} are lost (the answer begins {found[:2]})")
        return faults

    def _sql(self, statements: str) -> str:
        return self._client.sql(databases.USER, self._database_password, f"USE {databases.DATABASE};\n{statements}")

    def _redis(self, commands: str) -> str:
        return self._client.redis(self._redis_password, commands)
