"""The stack's config as one frozen, validated value. All faults of a stack are reported at once."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import pulumi
from pulumi.runtime import config as pulumi_config
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from dragonfly.parts.images import Image, Images, image_reference_fault, registry_fault, tag_fault
from dragonfly.parts.names import Names, longest_app_name, too_long_name
from dragonfly.parts.registry_mirrors import DEFAULT_REGISTRIES
from dragonfly.quantity import parse_quantity
from dragonfly.settings.fault import PROJECT, RULE_BROKEN, ConfigFault
from dragonfly.settings.fault import rule_broken as _fault
from dragonfly.settings.gke_rules import (
    AuthorizedNetworks,
    ClusterLocation,
    ExistingNetwork,
    ExistingSubnetwork,
    NodeAutoscaling,
    NodeCount,
    NodeDiskSize,
    NodeMachineType,
    RegistryMirrors,
    gke_faults,
)

# Keys of the Google Cloud provider that a GKE cluster needs, the environment variables that the provider reads instead,
# and an example.
_GCP_KEYS = (
    (
        "gcp:project",
        ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
        "my-project",
    ),
    ("gcp:zone", ("GOOGLE_ZONE", "GCLOUD_ZONE", "CLOUDSDK_COMPUTE_ZONE"), "us-west1-a"),
)

# What the API server demands of names (k8s.io/apimachinery/pkg/util/validation).
_DNS_1035_LABEL = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_DNS_1123_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DNS_1123_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_GKE_CLUSTER_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
# The pod of the peer can write there: nothing but the directory of the mirrors may be named.
_CONTAINERD_PATH = re.compile(r"(?:/[A-Za-z0-9._-]+)+/containerd/[A-Za-z0-9._-]+")
# Characters that need no quoting in YAML, SQL, a MySQL DSN, my.cnf, redis.conf and a shell.
_PASSWORD = re.compile(r"[A-Za-z0-9._~+=,^!*-]{12,128}")

# Linux hands these ports to outgoing connections (net.ipv4.ip_local_port_range), so that a peer on the node's network
# could find its port taken.
_EPHEMERAL_PORTS = range(32768, 61000)
_UNPRIVILEGED_PORTS = range(1024, 65536)

_PASSWORD_FIELDS = ("db_user_password", "db_root_password", "db_exporter_password", "redis_password")
_SECRET_FIELDS = (*_PASSWORD_FIELDS, "kubeconfig")
_PEER_PORT_FIELDS = ("peer_port", "proxy_port", "upload_port", "peer_health_port", "peer_metrics_port")


def _app_instance_name(value: str) -> str:
    limit = longest_app_name()
    if _DNS_1035_LABEL.fullmatch(value) is None:
        raise _fault(
            "must be a DNS-1035 label: lower-case letters, digits and '-', starting with a letter, not ending in '-'"
        )
    if len(value) > limit:
        raise _fault(
            f"has {len(value)} characters, may have {limit}: names derived from it, such as {too_long_name(value)}, "
            "would be longer than Kubernetes allows"
        )
    return value


def _namespace(value: str) -> str:
    if _DNS_1123_LABEL.fullmatch(value) is None:
        raise _fault("must be a DNS-1123 label: up to 63 lower-case letters, digits and '-', not at either end '-'")
    if value.startswith("kube-"):
        raise _fault("starts with kube-, which Kubernetes reserves for its own namespaces")
    return value


def _storage_class(value: str) -> str:
    if len(value) > 253 or _DNS_1123_SUBDOMAIN.fullmatch(value) is None:
        raise _fault("must be the name of a StorageClass; `kubectl get storageclass` lists them")
    return value


def _cluster_name(value: str) -> str:
    if _GKE_CLUSTER_NAME.fullmatch(value) is None:
        raise _fault("must be 1 to 40 lower-case letters, digits and '-', starting with a letter, not ending in '-'")
    return value


def _disk_size(value: str) -> str:
    try:
        size = parse_quantity(value)
    except ValueError:
        raise _fault("must be a Kubernetes quantity such as 8Gi") from None
    if size < 1:
        raise _fault("must be at least one byte; write for example 8Gi")
    return value


def _registry_config_path(value: str) -> str:
    if _CONTAINERD_PATH.fullmatch(value) is None or ".." in value:
        raise _fault("must be the absolute path of a directory in containerd's own, as its config.toml names it")
    return value


def _image_reference(value: str) -> str:
    if fault := image_reference_fault(value):
        raise _fault(fault)
    return value


def _image_tag(value: str) -> str:
    if fault := tag_fault(value):
        raise _fault(fault)
    return value


def _image_registry(value: str) -> str:
    if fault := registry_fault(value):
        raise _fault(fault)
    return value


def _peer_port(value: int) -> int:
    if value not in _UNPRIVILEGED_PORTS:
        raise _fault(
            f"must be a port from {_UNPRIVILEGED_PORTS.start} to {_UNPRIVILEGED_PORTS.stop - 1}; "
            "lower ones need root on the node"
        )
    if value in _EPHEMERAL_PORTS:
        raise _fault(
            f"lies in {_EPHEMERAL_PORTS.start} to {_EPHEMERAL_PORTS.stop - 1}, which Linux hands to outgoing "
            "connections: the peer could find it taken"
        )
    return value


def _password(value: SecretStr) -> SecretStr:
    if _PASSWORD.fullmatch(value.get_secret_value()) is None:
        raise _fault(
            "must be 12 to 128 characters out of letters, digits and . _ ~ + = , ^ ! * - "
            "(others would have to be quoted differently in SQL, DSN, YAML and shell)"
        )
    return value


def _ready_timeout(value: int) -> int:
    if not 10 <= value <= 3600:
        raise _fault("must be 10 to 3600 seconds")
    return value


Password = Annotated[SecretStr, AfterValidator(_password)]
PeerPort = Annotated[int, AfterValidator(_peer_port)]
DiskSize = Annotated[str, AfterValidator(_disk_size)]
ImageReference = Annotated[str, AfterValidator(_image_reference)]


class SettingsError(pulumi.RunError):
    """The stack's config is faulty. The message lists every fault and how to mend it, and contains no secret."""


class Settings(BaseModel):
    """Everything that a stack decides. Field names are the config keys in snake case, in the namespace `dragonfly`.

    The defaults stand in `Pulumi.yaml` too, where `pulumi config` shows them; a test compares the two.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        # Without this an error would carry the value that was found, secrets included.
        hide_input_in_errors=True,
    )

    provision_cluster: bool = True
    cluster_name: Annotated[str, AfterValidator(_cluster_name)] = "dragonfly-cluster"
    cluster_location: ClusterLocation | None = None
    network: ExistingNetwork | None = None
    subnetwork: ExistingSubnetwork | None = None
    authorized_networks: Annotated[AuthorizedNetworks, Field(default_factory=list)]
    node_machine_type: NodeMachineType = "e2-standard-4"
    node_count: NodeCount = 3
    node_autoscaling: NodeAutoscaling | None = None
    node_disk_size: NodeDiskSize = "100Gi"
    spot: bool = False
    registry_mirrors: Annotated[RegistryMirrors, Field(default_factory=lambda: list(DEFAULT_REGISTRIES))]
    registry_config_path: Annotated[str, AfterValidator(_registry_config_path)] = "/etc/containerd/certs.d"
    deletion_protection: bool = True
    kubeconfig: SecretStr | None = None
    kube_context: str | None = None
    app_instance_name: Annotated[str, AfterValidator(_app_instance_name)] = "dragonfly-1"
    namespace: Annotated[str, AfterValidator(_namespace)] = "default"
    create_namespace: bool = True
    default_storage_class: Annotated[str, AfterValidator(_storage_class)] = "standard"
    db_persistent_disk_size: DiskSize = "8Gi"
    redis_persistent_disk_size: DiskSize = "5Gi"
    metrics_exporter_enabled: bool = False
    tag: Annotated[str, AfterValidator(_image_tag)] = "2.1.34"
    image_registry: Annotated[str, AfterValidator(_image_registry)] = "marketplace.gcr.io/google"
    image_overrides: Annotated[dict[Image, ImageReference], Field(alias="images", default_factory=dict)]
    db_user_password: Password | None = None
    db_root_password: Password | None = None
    db_exporter_password: Password | None = None
    redis_password: Password | None = None
    peer_port: PeerPort = 65000
    proxy_port: PeerPort = 65001
    upload_port: PeerPort = 65002
    peer_health_port: PeerPort = 65003
    peer_metrics_port: PeerPort = 65004
    install_application_crd: bool = True
    ready_timeout_seconds: Annotated[int, AfterValidator(_ready_timeout)] = 600

    @property
    def names(self) -> Names:
        """Names of the instance's objects."""
        return Names(self.app_instance_name)

    @property
    def images(self) -> Images:
        """Image references of the instance's containers."""
        return Images(registry=self.image_registry, tag=self.tag, overrides=self.image_overrides)

    @property
    def namespace_is_created(self) -> bool:
        """Whether the program makes the namespace; `default` exists in every cluster and cannot be deleted."""
        return self.create_namespace and self.namespace != "default"

    @classmethod
    def load(cls) -> Settings:
        """Reads the config of the running Pulumi program's stack.

        Raises:
            SettingsError: the config has faults.
        """
        environment = pulumi_config.get_config_env()
        values: dict[str, str] = {**environment, **pulumi_config.CONFIG.get()}
        secret_keys = frozenset(key for key in values if pulumi_config.is_config_secret(key))
        return cls.from_config(values, secret_keys, stack=pulumi.get_stack(), environment=os.environ)

    @classmethod
    def from_config(
        cls,
        values: Mapping[str, str],
        secret_keys: frozenset[str],
        *,
        stack: str,
        environment: Mapping[str, str],
    ) -> Settings:
        """Validates a stack's config.

        Args:
            values: the config as the engine passes it: full keys such as `dragonfly:tag`, values as strings, objects
                as JSON.
            secret_keys: the full keys whose values are encrypted in the stack's file.
            stack: the stack's name, for the message.
            environment: environment variables, where the Google Cloud provider looks for a project or zone too.

        Raises:
            SettingsError: the config has faults; the message names all of them.
        """
        faults: list[ConfigFault] = []
        known = {field.alias or to_camel(name): name for name, field in cls.model_fields.items()}
        typed: dict[str, Any] = {}
        for full_key, text in sorted(values.items()):
            namespace, _, key = full_key.partition(":")
            if namespace != PROJECT:
                continue
            if key not in known:
                faults.append(_unknown_key(key, list(known)))
            elif text == "" and cls.model_fields[known[key]].default is None:
                # Pulumi.yaml can only declare an optional key by giving it an empty default.
                continue
            else:
                if known[key] in _SECRET_FIELDS and full_key not in secret_keys:
                    faults.append(_plain_text_secret(key))
                typed[key] = _typed_value(cls.model_fields[known[key]].annotation, text)
        settings = None
        try:
            settings = cls.model_validate(typed)
        except ValidationError as error:
            found = error.errors()
            faults.extend(_validation_fault(details, values, secret_keys) for details in found)
            faulty = {str(details["loc"][0]) for details in found}
        else:
            faulty = set[str]()
        faults.extend(_shared_peer_ports(typed))
        faults.extend(_cluster_faults(typed, values, environment))
        sound = cls.model_validate({key: value for key, value in typed.items() if key not in faulty})
        if sound.provision_cluster and _key("provision_cluster") not in faulty:
            faults.extend(
                replace(fault, found=None) if fault.key in secret_keys else fault
                for fault in gke_faults(sound, _zone(values, environment), faulty)
            )
        if faults or settings is None:
            raise SettingsError(_report(stack, faults))
        return settings


def _key(field: str) -> str:
    return Settings.model_fields[field].alias or field


def _typed_value(annotation: Any, text: str) -> Any:
    """Config values arrive as text; what is not text in Settings is read as JSON, and left as it is where it is not."""
    plain = _plain(annotation)
    if plain not in (bool, int, NodeAutoscaling) and get_origin(plain) not in (dict, list):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return _image_keys(value) if get_origin(plain) is dict else value


def _plain(annotation: Any) -> Any:
    """A field's type without its rules and without the None that stands for "not set"."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _plain(get_args(annotation)[0])
    return annotation


def _image_keys(value: Any) -> Any:
    # Strict validation takes members of an enumeration, not their values; unknown keys stay and are reported.
    if not isinstance(value, dict):
        return value
    known = {image.value: image for image in Image}
    return {known.get(key, key): reference for key, reference in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _nearest(key: str, candidates: list[str]) -> str:
    lowered = {candidate.lower(): candidate for candidate in candidates}
    return lowered[difflib.get_close_matches(key.lower(), list(lowered), cutoff=0.0)[0]]


def _unknown_key(key: str, known: list[str]) -> ConfigFault:
    nearest = _nearest(key, known)
    return ConfigFault(
        f"{PROJECT}:{key}",
        None,
        f"is not a config key; the nearest one is {PROJECT}:{nearest}",
        f"pulumi config rm {PROJECT}:{key}",
    )


def _plain_text_secret(key: str) -> ConfigFault:
    return ConfigFault(
        f"{PROJECT}:{key}",
        None,
        "stands in plain text in the stack's file, must be encrypted; change the value too, it has been seen",
        f"pulumi config set --secret {PROJECT}:{key}",
    )


_TYPE_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "dict": "an object",
    "model_type": "an object with min and max",
    "list": "a list",
    "string": "a string",
}
_RULES = {"missing": "must be given", "extra_forbidden": "is not known here; an object with min and max is expected"}


def _validation_fault(details: Any, values: Mapping[str, str], secret_keys: frozenset[str]) -> ConfigFault:
    location: list[str | int] = [part for part in details["loc"] if part != "[key]"]
    key = str(location[0])
    # Whatever the user encrypted is a secret, even under a key that needs none.
    secret = key in {_key(field) for field in _SECRET_FIELDS} or f"{PROJECT}:{key}" in secret_keys
    # As `pulumi config set --path` takes it.
    path = key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])
    found = None if secret else _found(values[f"{PROJECT}:{key}"], location[1:])
    if details["type"] == RULE_BROKEN:
        rule = details["ctx"]["message"]
    elif details["loc"][-1] == "[key]":
        nearest = _nearest(str(location[-1]), [image.value for image in Image])
        return ConfigFault(
            f"{PROJECT}:{path}",
            None,
            f"is not an image of this program; the nearest one is {key}.{nearest}",
            f"pulumi config rm --path {PROJECT}:{path}",
        )
    else:
        expected = next((text for kind, text in _TYPE_NAMES.items() if details["type"].startswith(kind)), None)
        rule = f"must be {expected}" if expected else str(_RULES.get(details["type"], details["msg"]))
    option = "--path " if len(location) > 1 else ""
    # A shell would take brackets for a pattern.
    place = option + shlex.quote(f"{PROJECT}:{path}")
    if details["type"] == "extra_forbidden":
        remedy = f"rm {place}"
    elif secret:
        # Without a value on the command line the CLI asks for it, so that it stays out of the shell's history.
        remedy = f"set --secret {place}"
    else:
        remedy = f"set {place} <value>"
    return ConfigFault(f"{PROJECT}:{path}", found, rule, f"pulumi config {remedy}")


def _found(text: str, path: list[str | int]) -> str | None:
    if not path:
        return json.dumps(text)
    inner: Any = json.loads(text)
    for part in path:
        if isinstance(inner, dict) and part not in inner:
            # What is missing has no value.
            return None
        inner = cast("Any", inner)[part]
    return json.dumps(inner)


def _shared_peer_ports(typed: Mapping[str, Any]) -> list[ConfigFault]:
    """Ports that two of a peer's servers would both listen on."""
    faults: list[ConfigFault] = []
    taken: dict[int, str] = {}
    for field in _PEER_PORT_FIELDS:
        port = typed.get(_key(field), Settings.model_fields[field].default)
        if not isinstance(port, int):
            continue
        if port in taken:
            faults.append(
                ConfigFault(
                    f"{PROJECT}:{_key(field)}",
                    str(port),
                    f"is the port of {PROJECT}:{_key(taken[port])} too; a peer's five ports must differ",
                    f"pulumi config set {PROJECT}:{_key(field)} <value>",
                )
            )
        taken.setdefault(port, field)
    return faults


def _cluster_faults(
    typed: Mapping[str, Any], values: Mapping[str, str], environment: Mapping[str, str]
) -> list[ConfigFault]:
    """Faults that concern where the cluster comes from: they need keys of two namespaces."""
    provision = typed.get(_key("provision_cluster"), Settings.model_fields["provision_cluster"].default)
    if provision is not True:
        return []
    faults = [
        ConfigFault(
            f"{PROJECT}:{_key(field)}",
            None,
            f"chooses an existing cluster, but {PROJECT}:{_key('provision_cluster')} is true: one of the two must go",
            f"pulumi config set {PROJECT}:{_key('provision_cluster')} false"
            f"   or   pulumi config rm {PROJECT}:{_key(field)}",
        )
        for field in ("kubeconfig", "kube_context")
        if _key(field) in typed
    ]
    faults.extend(
        ConfigFault(
            key, None, "is not set, but the program provisions a GKE cluster", f"pulumi config set {key} {example}"
        )
        for key, variables, example in _GCP_KEYS
        if not values.get(key) and not any(environment.get(variable) for variable in variables)
    )
    return faults


def _zone(values: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """The zone that the provider takes: the config's, or else the environment's."""
    (variables,) = [variables for key, variables, _ in _GCP_KEYS if key == "gcp:zone"]
    given = [values.get("gcp:zone"), *(environment.get(variable) for variable in variables)]
    return next(filter(None, given), None)


def _report(stack: str, faults: list[ConfigFault]) -> str:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    listed = "\n\n".join(str(fault) for fault in faults)
    return f"the config of stack {stack} has {count}; nothing was changed\n\n{listed}\n"
