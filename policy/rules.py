"""What the policy pack demands of each resource. It knows nothing of the pack's SDK."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

Properties = Mapping[str, Any]


class Unknown:
    """A value that a preview cannot know yet."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Declared:
    """A resource as the engine has it.

    Attributes:
        type: its token, such as `kubernetes:apps/v1:Deployment`.
        urn: by which the engine knows it, with the components that it is in.
        name: in the program.
        properties: plain values, `UNKNOWN` in the place of what is not known yet.
        protected: whether `protect` keeps the engine from deleting it.
    """

    type: str
    urn: str
    name: str
    properties: Properties
    protected: bool = False

    @property
    def kind(self) -> str:
        """Its kind in Kubernetes; empty for all else."""
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""

    @property
    def metadata(self) -> Properties:
        """Of an object of Kubernetes."""
        return _mapping(self.properties.get("metadata"))

    @property
    def namespace(self) -> Any:
        """Of an object of Kubernetes; perhaps `UNKNOWN`."""
        return _path(self.properties, "metadata", "namespace")


@dataclass(frozen=True)
class Rule:
    """A demand on one resource.

    Attributes:
        name: by which a config of the pack switches it off.
        description: what is demanded and why.
        violations: what is wrong with a resource, each with what is expected; called with the options by name.
        options: what a config of the pack may set, each a list of texts, and what it is otherwise.
    """

    name: str
    description: str
    violations: Callable[..., Iterable[str]]
    options: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])


@dataclass(frozen=True)
class StackRule:
    """A demand on resources that only all of them together tell of.

    Attributes:
        name: by which a config of the pack switches it off.
        description: what is demanded and why.
        violations: which resources are at fault, and why.
    """

    name: str
    description: str
    violations: Callable[[list[Declared]], Iterable[tuple[Declared, str]]]


def pod_template(resource: Declared) -> Properties | None:
    """Return metadata and spec of the pods that a resource makes, if it makes any."""
    spec = _mapping(resource.properties.get("spec"))
    candidates = (resource.properties, spec.get("template"), _path(spec, "jobTemplate", "spec", "template"))
    found = (_mapping(each) for each in candidates)
    return next((each for each in found if resource.kind and "containers" in _mapping(each.get("spec"))), None)


def _pod_spec(resource: Declared) -> Properties:
    return _mapping(_path(pod_template(resource), "spec"))


def _containers(resource: Declared) -> Iterator[Properties]:
    spec = _pod_spec(resource)
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from (_mapping(each) for each in _sequence(spec.get(key)) if each is not UNKNOWN)


_FLOATING_WORDS = {"latest", "stable", "edge", "nightly", "main", "master", "dev"}
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def _floating_images(resource: Declared) -> Iterator[str]:
    for container in _containers(resource):
        image = container.get("image")
        if not isinstance(image, str) or _DIGEST.search(image):
            continue
        tag = image.rpartition("/")[2].partition(":")[2].partition("@")[0]
        if not tag or _FLOATING_WORDS & set(re.split(r"[-.]", tag)):
            yield f"container {container.get('name')}: image {image} floats; give it the tag of a release, or a digest"


_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|API_?KEY|PRIVATE_?KEY|_(PWD|PASS|AUTH)$", re.IGNORECASE
)
_ABOUT_A_SECRET = re.compile(r"_(FILE|PATH|DIR|NAME|URL|TTL|LENGTH|SECONDS)$", re.IGNORECASE)
_SECRET_OPTION = re.compile(
    r"--?[\w-]*(?:password|passwd|passphrase|pass|masterauth|secret|token|api-?key)(?:=(.*))?", re.IGNORECASE
)
# Kubernetes puts a variable, which may come from a Secret, in the place of $(NAME).
_URL_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:(?!\$\()[^/\s@]+@", re.IGNORECASE)
_NO_SECRET = re.compile(r"[$/-].*|true|false|", re.IGNORECASE)
"""Variables, files' paths, other options, and what is no word."""


def _plain_secrets(resource: Declared) -> Iterator[str]:
    for container in _containers(resource):
        where = f"container {container.get('name')}"
        for variable in (_mapping(each) for each in _sequence(container.get("env"))):
            name, value = str(variable.get("name")), variable.get("value")
            named = _SECRET_NAME.search(name) and not _ABOUT_A_SECRET.search(name)
            if not isinstance(value, str):
                continue
            if (named and not _NO_SECRET.fullmatch(value)) or _URL_WITH_PASSWORD.search(value):
                yield f"{where}: {name} holds a secret; take it from a Secret, by a file or a secretKeyRef"
        arguments = [*_sequence(container.get("command")), *_sequence(container.get("args"))]
        # One of them may be a script.
        words = [word for each in arguments if isinstance(each, str) for word in _WORD.findall(each)]
        if _has_secret(words):
            yield f"{where}: its command line holds a secret, which the process list shows; pass it by a file"


_WORD = re.compile(r"[^\s\"']+")


def _has_secret(words: list[str]) -> bool:
    # After an option without a value comes its value.
    return any(_URL_WITH_PASSWORD.search(word) for word in words) or any(
        (found := _SECRET_OPTION.fullmatch(word))
        and not _NO_SECRET.fullmatch(following if found[1] is None else found[1])
        for word, following in pairwise([*words, ""])
    )


def _missing_resources(resource: Declared) -> Iterator[str]:
    for container in _containers(resource):
        for kind in ("requests", "limits"):
            given = _path(container, "resources", kind)
            missing = [each for each in ("cpu", "memory") if given is not UNKNOWN and each not in _mapping(given)]
            if missing:
                yield f"container {container.get('name')}: no {kind} of {' and '.join(missing)}"


def _privileges(resource: Declared) -> Iterator[str]:
    for key in ("hostPID", "hostIPC"):
        if _pod_spec(resource).get(key) is True:
            yield f"{key}: its pods see the processes of the node; leave it out"
    for container in _containers(resource):
        where = f"container {container.get('name')}"
        if _path(container, "securityContext", "privileged") is True:
            yield f"{where}: privileged, which is root on the node; leave it out"
        if _path(container, "securityContext", "allowPrivilegeEscalation") not in (False, UNKNOWN):
            yield f"{where}: allowPrivilegeEscalation is not false"
        if added := _sequence(_path(container, "securityContext", "capabilities", "add")):
            yield f"{where}: adds capabilities {', '.join(map(str, added))}; leave them out"


def _unknown_host_paths(resource: Declared, *, paths: list[str]) -> Iterator[str]:
    volumes = [_mapping(each) for each in _sequence(_pod_spec(resource).get("volumes"))]
    if resource.kind == "PersistentVolume":
        volumes = [{"name": resource.metadata.get("name"), **_mapping(resource.properties.get("spec"))}]
    for volume in volumes:
        path = _path(volume, "hostPath", "path")
        if isinstance(path, str) and path not in paths:
            yield f"volume {volume.get('name')}: directory {path} of the node; only {' and '.join(paths)} may be"


def _open_services(resource: Declared) -> Iterator[str]:
    kind = _path(resource.properties, "spec", "type")
    if resource.kind in ("Service", "ServicePatch") and kind in ("LoadBalancer", "NodePort"):
        yield f"type {kind} is reached from outside the cluster; take ClusterIP and a port-forward"


_DISKS = ("gcp:compute/disk:Disk", "gcp:compute/regionDisk:RegionDisk")


def _unprotected(resource: Declared, *, caches: list[str]) -> Iterator[str]:
    is_cache = any(component in resource.urn for component in caches)
    if resource.type in _DISKS and not is_cache and not resource.protected:
        yield "the disk holds data, and nothing keeps a mistake from deleting it; set protect"
    if resource.type == "gcp:container/cluster:Cluster" and not resource.protected:
        yield "nothing keeps a mistake from deleting the cluster; set protect"


_DEFAULT_ACCOUNT = re.compile(r"^(default|.*-compute@developer\.gserviceaccount\.com)$")


def _default_accounts(resource: Declared) -> Iterator[str]:
    properties = resource.properties
    configs: list[Any] = []
    if resource.type == "gcp:container/nodePool:NodePool":
        configs = [properties.get("nodeConfig")]
    if resource.type == "gcp:container/cluster:Cluster":
        configs = [_mapping(pool).get("nodeConfig") for pool in _sequence(properties.get("nodePools"))]
        # A cluster that keeps its first pool has its nodes described here.
        if not properties.get("removeDefaultNodePool") and not configs:
            configs = [properties.get("nodeConfig")]
    for config in configs:
        account = _path(config, "serviceAccount") or "default"
        if isinstance(account, str) and _DEFAULT_ACCOUNT.match(account):
            yield (
                f"nodes run as {account}, the project's default service account, which may be an editor of all of it; "
                "give them an account of their own"
            )


RULES = (
    Rule("no-floating-image", "An image's tag tells what runs, today and after the next pull.", _floating_images),
    Rule("no-plain-secret", "A pod's spec is read by whoever may list pods: it holds no secret.", _plain_secrets),
    Rule("requests-and-limits", "A container says what it needs, and takes no more.", _missing_resources),
    Rule("nothing-privileged", "A program that is taken over does not own its node.", _privileges),
    Rule(
        "known-host-paths",
        "Pods have no directory of their node but those that are known.",
        _unknown_host_paths,
        # Of containerd: the list of mirrors, which the peers' writer keeps, and the config that points to it.
        {"paths": ["/etc/containerd/certs.d", "/etc/containerd"]},
    ),
    Rule("no-open-service", "Nothing listens outside the cluster.", _open_services),
    Rule(
        "deletion-protected",
        "What holds data is deleted by nobody's mistake.",
        _unprotected,
        # Components whose disks hold what is fetched again.
        {"caches": ["dragonfly:seed_peer:SeedPeer"]},
    ),
    Rule(
        "own-service-account", "A node that is taken over owns no more of the project than it needs.", _default_accounts
    ),
)


_SHORTEST_SECRET = 8
"""Characters. Shorter ones occur in what is no secret."""


def _leaks(resources: list[Declared]) -> Iterator[tuple[Declared, str]]:
    generated = {
        str(value): each.name
        for each in resources
        if each.type == "random:index/randomPassword:RandomPassword"
        and isinstance(value := each.properties.get("result"), str)
        and len(value) >= _SHORTEST_SECRET
    }
    for each in resources:
        if each.kind and each.kind not in ("Secret", "SecretPatch"):
            texts = list(_texts(each.properties))
            for value, name in generated.items():
                if any(value in text for text in texts):
                    yield each, f"holds the password {name} in plain text; only a Secret may"


def _unguarded(resources: list[Declared]) -> Iterator[tuple[Declared, str]]:
    policies = [each for each in resources if each.kind == "NetworkPolicy"]
    for each in resources:
        pod = pod_template(each)
        # No policy matches pods on the node's own network.
        if pod is None or _path(pod, "spec", "hostNetwork") not in (None, False):
            continue
        labels = _path(pod, "metadata", "labels")
        missing = {"Ingress", "Egress"}
        for policy in policies:
            if _may_be(policy.namespace, each.namespace):
                missing -= _directions(policy.properties.get("spec"), labels)
        if missing:
            directions = " and ".join(sorted(missing))
            yield each, f"no NetworkPolicy selects its pods for {directions}: open to the whole cluster; declare one"


def _directions(spec: Any, labels: Any) -> set[str]:
    """Return for which directions a policy selects pods with these labels, or may."""
    policy = _mapping(spec)
    selector = policy.get("podSelector")
    wanted = _mapping(selector).get("matchLabels")
    # Of expressions none is taken for a match: what is not understood guards nothing.
    if _sequence(_mapping(selector).get("matchExpressions")) or not all(
        _may_be(_path(labels, key), value) for key, value in _mapping(wanted).items()
    ):
        return set()
    types = policy.get("policyTypes")
    if UNKNOWN in (spec, types, *_sequence(types)):
        return {"Ingress", "Egress"}
    # As the API server fills it in (Kubernetes documentation, "Network Policies").
    return set(_sequence(types)) or {"Ingress", *(["Egress"] if "egress" in policy else [])}


def _may_be(one: Any, other: Any) -> bool:
    return UNKNOWN in (one, other) or one == other


STACK_RULES = (
    StackRule("no-leaked-password", "A generated password is in no object but Secrets.", _leaks),
    StackRule("network-policies", "A policy says who reaches each pod, and whom it reaches.", _unguarded),
)


def _mapping(value: Any) -> Properties:
    return cast("Properties", value) if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _path(value: Any, *keys: str) -> Any:
    """Return what is found by the keys, one in the other: `UNKNOWN` where the way to it is, None where it ends."""
    for key in keys:
        if value is UNKNOWN:
            break
        value = _mapping(value).get(key)
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in (*_mapping(value).values(), *_sequence(value)):
        yield from _texts(each)
