"""The rows as the documentation shows them, in plain words that come from the steps of the previews."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any

from local.machine.paths import PROJECT_FOLDER
from tests.config_table.changes import KUBECONFIG, is_secret
from tests.config_table.plan import Plan, Step
from tests.config_table.rows import Row

DOCUMENT = PROJECT_FOLDER / "docs" / "config-changes.md"

_POOL = "gcp:container/nodePool:NodePool"
_DISK = "gcp:compute/disk:Disk"
_CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
_SECRET = "kubernetes:core/v1:Secret"
_JOB = "kubernetes:batch/v1:Job"
_WORKLOADS = tuple(f"kubernetes:apps/v1:{kind}" for kind in ("DaemonSet", "Deployment", "StatefulSet"))
_HOLD_DATA = (
    "gcp:container/cluster:Cluster",
    _DISK,
    _CLAIM,
    "kubernetes:core/v1:PersistentVolume",
    "kubernetes:core/v1:Namespace",
)
# They only record what the program compares the next config with.
_RECORD = "dragonfly:"
_OUTPUTS = "pulumi:pulumi:Stack"
_WITH_A_CACHE = ("dfget", "seed-peer")
_LONGEST_VALUE = 20

_HEAD = """# What a change of the config does

Each key of an installed stack, changed by itself and back again: what `pulumi up` then does, as `pulumi preview` told
on a GKE cluster of the stack, and on an existing cluster, which does the same where it has no row of its own. *Back*
was tried on a stack that was installed so; keys that mean nothing to Dragonfly 2.1 were tried with 2.5.1.
`make config-table` writes this page.
Keys that share a name, or by which Google replaces something, were tried in pairs too: a pair has a row where one does
not go without the other, or where both do something else than each alone.

- *Refused* comes before cluster or data are touched, with the value to set back, whatever `deletionProtection` says.
- *Rolls* means new pods in the place of the old ones. Databases keep their disks. The caches of `dfget` and
  `seed-peer`, which hold pieces of images, start empty in a new pod.
- *Makes the nodes anew* means one after another: a new one comes first, then the pods of an old one move.
- A disk grows in an existing cluster if its StorageClass has `allowVolumeExpansion`.
- A password of MySQL in the config changes what clients sign in with, not what MySQL knows: see
  [Passwords](passwords.md#change-one-later).
"""


class Group(Enum):
    """What a row is found under; its value is the heading."""

    REFUSED = "Refused"
    REPLACED = "Something is replaced, made or deleted"
    ROLLED = "Pods or nodes are replaced by new ones"
    IN_PLACE = "Changed in place: no pod and no node is replaced"
    NOTHING = "Nothing in the cluster or in the cloud changes"


def markdown(rows: Sequence[Row]) -> str:
    """Return the page."""
    shown = list(_worth_showing(rows))
    lines = [_HEAD]
    for group in Group:
        of_group = [row for row in shown if group_of(row.there) is group]
        if of_group:
            lines += [f"## {group.value}\n", "| key | change | what happens | back | data |", "| --- " * 5 + "|"]
            lines += [_line(row) for row in of_group]
            lines.append("")
    return "\n".join(lines)


def documented(page: str) -> dict[Group, set[str]]:
    """Return the keys of the page's rows, as they are written there, by group."""
    found: dict[Group, set[str]] = {}
    for part in page.split("\n## ")[1:]:
        heading, _, table = part.partition("\n")
        first = (line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
        found[Group(heading)] = {key for cell in first for key in re.findall(r"`([\w:]+)`", cell)}
    return found


def group_of(plan: Plan) -> Group:
    """Return the strongest of the things that a change does."""
    if plan.refused or plan.failure:
        return Group.REFUSED
    found = [step for step in plan.steps if _tells(step)]
    if not found:
        return Group.NOTHING
    if any(step.operations != ("update",) and step.type != _JOB for step in found):
        return Group.REPLACED
    if any(_rolls(step) or _makes_nodes_anew(step) or step.type == _JOB for step in found):
        return Group.ROLLED
    return Group.IN_PLACE


def described(plan: Plan) -> str:
    """Return what a change does, in words."""
    if plan.refused:
        return "refused: " + "; ".join(dict.fromkeys(plan.refused.values()))
    if plan.failure:
        return f"fails: {plan.failure}"
    found = sorted((step for step in plan.steps if _tells(step)), key=lambda step: step.name)
    parts = [words for step in found if (words := _replacement(step))]
    if rolled := [f"`{step.name}`" for step in found if _rolls(step)]:
        parts.append(f"rolls {', '.join(rolled)}")
    for step in found:
        if step.type == _POOL and step.operations == ("update",):
            parts += _pool_changes(step)
    updated = [
        f"{_kind(step)} `{step.name}`"
        for step in found
        if step.operations == ("update",)
        and not _rolls(step)
        and step.type != _POOL
        # The config that the new pods read.
        and not (rolled and step.type == _SECRET)
    ]
    if updated:
        parts.append(f"updates {', '.join(updated)}")
    return "; ".join(parts) or "nothing"


def _worth_showing(rows: Sequence[Row]) -> Iterator[Row]:
    single = {row.keys[0]: row for row in rows if row.gke and len(row.keys) == 1}
    for row in rows:
        if not row.gke:
            same = single.get(row.keys[0])
            # The opposite change is another one, also where the effect has the same words.
            shown = same is None or same.old == row.new or _effects(same) != _effects(row)
        elif len(row.keys) > 1 and all(key in single for key in row.keys):
            shown = _does_something_else(row.there, [single[key].there for key in row.keys])
        else:
            shown = True
        if shown:
            yield row


def _does_something_else(together: Plan, alone: Sequence[Plan]) -> bool:
    refused = {consequence for plan in alone for consequence in plan.refused.values()}
    if refused or together.refused:
        return set(together.refused.values()) != refused
    return _strongest([together]) != _strongest(alone)


def _strongest(plans: Iterable[Plan]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What happens to each resource: who replaces one need not update it besides."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for plan in plans:
        for step in plan.steps:
            at = (step.type, step.name)
            found[at] = max(found.get(at, ()), step.operations, key=len)
    return found


def _line(row: Row) -> str:
    keys = " and ".join(f"`{key.removeprefix('dragonfly:')}`" for key in row.keys)
    where = "" if row.gke else ", existing cluster"
    old, new = (", ".join(dict.fromkeys(map(_value, row.keys, values))) for values in (row.old, row.new))
    return f"| {' | '.join((f'{keys}{where}', f'{old} → {new}', *_effects(row)))} |"


def _effects(row: Row) -> tuple[str, str, str]:
    """Return what happens, what happens on the way back, and to data."""
    there = described(row.there)
    back = "" if row.back is None else described(row.back)
    plans = [row.there] if row.back is None else [row.there, row.back]
    return there, "the same" if back == there else back, _data(plans)


def _value(key: str, value: Any) -> str:
    if value is None:
        return "random" if is_secret(key) and key != "dragonfly:kubeconfig" else "not set"
    if value == KUBECONFIG or is_secret(key):
        return "set"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if len(text) <= _LONGEST_VALUE else f"`{text[:_LONGEST_VALUE]}…`"


def _data(plans: Iterable[Plan]) -> str:
    done = [step for plan in plans for step in plan.steps if _tells(step)]
    if any(step.type == _DISK and step.name.startswith(_WITH_A_CACHE) for step in done):
        return "kept; the cache starts empty"
    lost = [step.name for step in done if step.type in _HOLD_DATA and _takes_away(step)]
    if lost:
        return f"lost: {', '.join(sorted(set(lost)))}"
    if any(step.type in (_DISK, _CLAIM) for step in done):
        return "kept; the disk grows"
    if any(_rolls(step) and step.name in _WITH_A_CACHE for step in done):
        return "kept; caches start empty"
    if any(_makes_nodes_anew(step) or (step.type == _POOL and _takes_away(step)) for step in done):
        return "kept; caches start empty"
    return "kept"


def _tells(step: Step) -> bool:
    return not step.type.startswith(_RECORD) and step.type != _OUTPUTS


def _rolls(step: Step) -> bool:
    changed = any(path.startswith("spec.template") for path in step.paths)
    return step.type in _WORKLOADS and step.operations == ("update",) and changed


def _makes_nodes_anew(step: Step) -> bool:
    return step.type == _POOL and any(path.startswith("nodeConfig") for path in step.paths)


def _takes_away(step: Step) -> bool:
    return any(operation.startswith("delete") for operation in step.operations) and not step.retained


def _replacement(step: Step) -> str | None:
    """What is said of a resource that is not merely updated."""
    what = f"{_kind(step)} `{step.name}`"
    if step.operations == ("create",):
        return f"makes {what}"
    if step.operations == ("delete",):
        return f"lets go of {what}, which stays" if step.retained else f"deletes {what}"
    if step.type == _JOB and "replace" in step.operations:
        return f"runs {what} again"
    if "replace" in step.operations:
        new_first = step.operations.index("create-replacement") < step.operations.index("delete-replaced")
        return f"replaces {what}: {'the new one comes first' if new_first else 'the old one goes first'}"
    return None


def _pool_changes(step: Step) -> list[str]:
    said = {
        "nodeConfig": "makes the nodes anew",
        "nodeCount": "changes the number of nodes",
        "initialNodeCount": "changes the number of nodes",
        "autoscaling": "changes the autoscaler's bounds",
        "nodeLocations": "changes the zones of the nodes",
    }
    fields = sorted({re.split(r"[.\[]", path)[0] for path in step.paths})
    return list(dict.fromkeys(said.get(field, f"updates {field} of the nodes") for field in fields))


def _kind(step: Step) -> str:
    if step.type.startswith("pulumi:providers:"):
        return "the provider"
    return step.type.rpartition(":")[2]
