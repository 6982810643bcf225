"""That no two clusters of a user have a port in common, whether they run or not."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from local.machine import ports
from local.machine.ports import NoFreePortsError, kept_ports, reserve_ports

ROOM_FOR_TWO = 10


@pytest.fixture(autouse=True)
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> range:
    """A cache of the test's own and, somewhere in the range, ten ports that nobody uses."""
    monkeypatch.setenv("DRAGONFLY_LOCAL_CACHE", str(tmp_path / "cache"))
    for start in range(ports.RANGE.start, ports.RANGE.stop, ROOM_FOR_TWO):
        few = range(start, start + ROOM_FOR_TWO)
        if all(map(_unused, few)):
            monkeypatch.setattr(ports, "RANGE", few)
            return few
    pytest.fail("this machine has no ten free ports in a row")


def _unused(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((ports.LOOPBACK, port)) != 0


def _cluster(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder / "ports.json"


def test_a_cluster_that_stands_still_keeps_its_ports(tmp_path: Path, narrow: range) -> None:
    first, second = _cluster(tmp_path / "one"), _cluster(tmp_path / "two")
    its = reserve_ports(first)
    assert {*its.all(), *reserve_ports(second).all()} == set(narrow)
    assert reserve_ports(first) == kept_ports(first) == its
    with pytest.raises(NoFreePortsError, match="no five free ports"):
        reserve_ports(_cluster(tmp_path / "three"))


def test_a_cluster_that_is_gone_has_no_ports(tmp_path: Path, narrow: range) -> None:
    first, second = _cluster(tmp_path / "one"), _cluster(tmp_path / "two")
    its = reserve_ports(first)
    reserve_ports(second)
    # Nobody was told: somebody removed the checkout.
    shutil.rmtree(first.parent)
    assert set(reserve_ports(_cluster(tmp_path / "three")).all()) == set(its.all())
    assert len([entry for entry in (tmp_path / "cache" / "ports").iterdir() if entry.is_symlink()]) == 2


def test_a_start_that_was_killed_before_it_wrote_its_ports_keeps_none_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, content: bytes) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(ports, "write_private", die)
        for name in ("one", "two"):
            with pytest.raises(SystemExit):
                reserve_ports(_cluster(tmp_path / name))
    reserve_ports(_cluster(tmp_path / "three"))
    reserve_ports(_cluster(tmp_path / "four"))


def test_of_a_checkout_and_its_copy_the_copy_gets_other_ports(tmp_path: Path, narrow: range) -> None:
    first = _cluster(tmp_path / "one")
    its = reserve_ports(first)
    shutil.copytree(first.parent, tmp_path / "copy")
    assert {*its.all(), *reserve_ports(tmp_path / "copy" / first.name).all()} == set(narrow)
    assert reserve_ports(first) == its


def test_ports_that_a_stranger_uses_are_exchanged(tmp_path: Path) -> None:
    first = _cluster(tmp_path / "one")
    its = reserve_ports(first)
    with socket.create_server((ports.LOOPBACK, its.etcd)):
        others = reserve_ports(first)
    assert its.etcd not in others.all()
    assert kept_ports(first) == others
