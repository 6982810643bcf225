"""Private images: they come through the peers with the pod's own credentials, and who gets what without any."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from dragonfly.lines.known_lines import line_of
from dragonfly.parts import ports
from dragonfly.parts.registry_mirrors import REGISTRY_HEADER
from local.cluster.control_plane import Cluster
from local.nodes.containers import namespaces
from local.nodes.containers.addresses import CONTROL_PLANE
from tests.nodes import token_server
from tests.nodes.conftest import Kubectl
from tests.nodes.local_registry import (
    LocalRegistry,
    extra_layer,
    free_port,
    local_registry,
    network_holder,
    registry_certificate,
    running,
)
from tests.nodes.mirrored_stack import NEEDS_REGISTRY, MirroredStack
from tests.nodes.node_images import NODES, on_node
from tests.nodes.own_stack import NAMES, own_stack
from tests.nodes.pods import pod
from tests.nodes.trusted_peers import trust
from tests.waiting import wait_until

pytestmark = NEEDS_REGISTRY

FIRST_PORT = 64700
PROXY_PORT, METRICS_PORT = FIRST_PORT + 1, FIRST_PORT + 4
PEERS, SEED_PEER = f"daemonset/{NAMES.peer}", f"statefulset/{NAMES.seed_peer}"
SIZE = 8 << 20
BASIC, TOKEN = "basic", "token"
PASSWORD, SECRET = "of-the-registry", "pulls"
CREDENTIALS = base64.b64encode(f"{token_server.USER}:{PASSWORD}".encode()).decode()
_STAT_TASK = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    ask = channel.unary_unary("/scheduler.v2.Scheduler/StatTask")
    # Its two fields are the asking host's ID, whatever it is, and the task's (d7y.io/api, scheduler.proto).
    fields = {10: b"x", 18: sys.argv[2].encode()}
    print(ask(b"".join(bytes([tag, len(text)]) + text for tag, text in fields.items()), timeout=20))
"""
COUNTERS = {
    "2.1": "dragonfly_dfdaemon_proxy_request_via_dragonfly_total",
    "2.5": "dragonfly_client_proxy_request_via_dfdaemon_total",
}
"""Of a peer's proxy, by release line: requests for what peers give each other."""


@dataclass(frozen=True)
class PrivateImage:
    """An image of a registry that asks who somebody is.

    Attributes:
        registry: its host.
        repository: its name there.
        manifest: digest of its manifest.
        digest: of its greatest layer.
    """

    registry: str
    repository: str
    manifest: str
    digest: str

    @property
    def reference(self) -> str:
        """By its tag."""
        return f"{self.registry}/{self.repository}:1"

    @property
    def by_digest(self) -> str:
        """The reference by which nobody gets another image."""
        return f"{self.registry}/{self.repository}@{self.manifest}"

    @property
    def layer(self) -> str:
        """Path of the layer in the registry."""
        return f"/v2/{self.repository}/blobs/{self.digest}"


@dataclass(frozen=True)
class Private(MirroredStack):
    """The stack, with two registries that ask who somebody is.

    Attributes:
        registries: by how they ask.
        counter: the peers' own.
        keeps: whether its peers keep what they have fetched.
    """

    registries: Mapping[str, LocalRegistry]
    counter: str
    keeps: bool

    def push_to(self, kind: str, name: str) -> PrivateImage:
        """Put an image that no node has into a registry."""
        content = os.urandom(SIZE)
        self.registry.push(name, self.archive, content)
        host = self.registries[kind].name
        return PrivateImage(host, name, self.registry.manifest_digest(name), extra_layer(content))

    def via_peer(self, node: str) -> int:
        """How many blobs a node's peer has been asked for."""
        # It is told of once there was one.
        return int(self.metrics(self.peer(node), METRICS_PORT).get(self.counter, 0))

    def pull(self, name: str, reference: str, node: str, *secrets: str) -> str:
        """Make a pod of an image on a node; returns what kubelet says of the pull once it has pulled, or cannot."""
        container = {"image": reference, "imagePullPolicy": "Always"}
        pulls = [{"name": secret} for secret in secrets]
        manifest = pod(name, "exec sleep infinity", nodeName=node, container=container, imagePullSecrets=pulls)
        self.stack.kubectl("apply", "-f", "-", text=json.dumps(manifest))
        about = f"--field-selector=involvedObject.name={name}"
        lines: list[str] = []

        def said() -> bool:
            path = "jsonpath={range .items[*]}{.message}{'\\n'}{end}"
            told = self.stack.kubectl("get", "events", about, f"--output={path}").splitlines()
            lines[:] = [line for line in told if line.startswith(("Successfully pulled", "Failed to pull"))]
            return bool(lines)

        wait_until(said, f"kubelet tells of the pull of {name}", 60)
        return lines[0]

    def layer_by_proxy(self, image: PrivateImage, node: str) -> str | None:
        """Ask the peer of a node for a layer, as a program on the node may, without credentials.

        Returns:
            The digest of what it gives; None where it answers with 401.
        """
        file = self.registry.folder / "layer"
        said = on_node(
            self.cluster,
            node,
            *("curl", "--silent", "--output", str(file), "--write-out", "%{http_code}", "--max-time", "20"),
            *("--header", f"{REGISTRY_HEADER}: https://{image.registry}"),
            f"http://127.0.0.1:{self.proxy_port}{image.layer}",
        )
        assert said in ("200", "401"), said
        return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" if said == "200" else None

    def shown_by_scheduler(self, image: PrivateImage) -> str:
        """What the scheduler tells of a layer whoever reaches its port, as every pod does."""
        # dragonfly-client-util, id_generator, `URLBased`.
        task = hashlib.sha256(f"https://{image.registry}{image.layer}STANDARD".encode()).hexdigest()
        address = self.stack.kubectl(
            "get", "endpoints", NAMES.scheduler_headless, "--output=jsonpath={.subsets[0].addresses[0].ip}"
        )
        target = f"{address}:{ports.SCHEDULER_GRPC}"
        return on_node(self.cluster, NODES[1], sys.executable, "-c", _STAT_TASK, target, task)


def htpasswd(folder: Path) -> Mapping[str, object]:
    """A registry's config by which it takes the user's name and password."""
    path = folder / "htpasswd"
    path.write_text(f"{token_server.USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    return {"htpasswd": {"realm": "private", "path": str(path)}}


@contextmanager
def tokens(cluster: Cluster, folder: Path, registry: LocalRegistry) -> Generator[Mapping[str, object]]:
    """A registry's config by which it takes tokens of a server that runs meanwhile."""
    port, own, log = free_port(), registry_certificate(registry.folder), folder / "tokens.log"
    password = folder / "password"
    password.write_text(PASSWORD)
    arguments = (str(port), str(own.certificate), str(own.key), str(password))
    command = [sys.executable, "-m", token_server.__name__, *arguments]
    holder = network_holder(cluster)
    asked = namespaces.in_network(holder, ["bash", "-c", f"exec 3<>/dev/tcp/{CONTROL_PLANE}/{port}"])
    with running(log, namespaces.in_network(holder, command)):
        wait_until(
            lambda: subprocess.run(asked, check=False).returncode == 0, "the token server answers", 20, log.read_text
        )
        yield {
            "token": {
                "realm": f"https://{CONTROL_PLANE}:{port}{token_server.PATH}",
                "service": token_server.SERVICE,
                "issuer": token_server.ISSUER,
                "rootcertbundle": str(registry.authority),
            }
        }


@pytest.fixture(scope="module")
def private(
    tag: str,
    cluster: Cluster,
    kubectl: Kubectl,
    images: list[Path],
    registry: LocalRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Private]:
    folder = tmp_path_factory.mktemp("private")
    with ExitStack() as opened:
        asking = {BASIC: htpasswd(folder), TOKEN: opened.enter_context(tokens(cluster, folder, registry))}
        registries: dict[str, LocalRegistry] = {}
        for kind, auth in asking.items():
            (folder / kind).mkdir()
            registries[kind] = opened.enter_context(local_registry(cluster, folder / kind, registry, auth))
        mirrored = [each.name for each in registries.values()]
        stack = opened.enter_context(
            own_stack(cluster, kubectl, folder, "private", FIRST_PORT, tag=tag, registryMirrors=mirrored)
        )
        trust(stack, registry, PEERS, SEED_PEER)
        auths = {"auths": {name: {"auth": CREDENTIALS} for name in mirrored}}
        stack.kubectl(
            *("create", "secret", "generic", SECRET, "--type=kubernetes.io/dockerconfigjson"),
            f"--from-literal=.dockerconfigjson={json.dumps(auths)}",
        )
        line = line_of(tag).name
        yield Private(stack, registry, cluster, images[0], PROXY_PORT, registries, COUNTERS[line], keeps=line != "2.1")


@pytest.mark.parametrize("kind", [BASIC, TOKEN])
def test_a_private_image_comes_through_the_peer_with_the_pods_own_secret(private: Private, kind: str) -> None:
    node, image = NODES[0], private.push_to(kind, f"private-{kind}")
    before = private.via_peer(node)
    assert private.pull(f"with-{kind}", image.reference, node, SECRET).startswith("Successfully pulled")
    # Its config, and the layer that no other image has.
    assert private.via_peer(node) - before == 2
    # The registry was not asked by a peer that has lost the credentials, and by the node itself after it.
    asked = [line for line in private.registries[kind].log.read_text().splitlines() if image.layer in line]
    # All of it by 2.1's, by ranges of 2.5's.
    assert any('" 200 ' in line or '" 206 ' in line for line in asked)
    assert [line for line in asked if '" 401 ' in line] == []


@pytest.mark.parametrize("kind", [BASIC, TOKEN])
def test_without_a_secret_nobody_gets_an_image_that_the_node_has_pulled(private: Private, kind: str) -> None:
    node, image = NODES[0], private.push_to(kind, f"refused-{kind}")
    assert private.pull(f"owner-{kind}", image.reference, node, SECRET).startswith("Successfully pulled")
    # The peer passes on what asks for the manifest, and the registry refuses it.
    for number, reference in enumerate((image.reference, image.by_digest)):
        refused = private.pull(f"stranger-{kind}-{number}", reference, node)
        assert refused.startswith("Failed to pull"), refused
        assert "401" in refused or "authorization failed" in refused, refused


@pytest.mark.parametrize("kind", [BASIC, TOKEN])
def test_who_knows_a_digest_gets_a_layer_where_the_node_has_pulled_it(private: Private, kind: str) -> None:
    """Why private registries are not mirrored unless somebody wants it: docs/private-images.md tells of it."""
    node, other = NODES
    image = private.push_to(kind, f"known-{kind}")
    # Nobody has it yet: the registry is asked, and refuses.
    assert private.layer_by_proxy(image, node) is None
    assert private.pull(f"known-{kind}", image.reference, node, SECRET).startswith("Successfully pulled")
    # A peer asks nobody about what it has. The stand-in for that of 2.1 keeps nothing.
    assert private.layer_by_proxy(image, node) == (image.digest if private.keeps else None)
    assert private.layer_by_proxy(image, other) is None


@pytest.mark.parametrize("kind", [BASIC, TOKEN])
def test_the_scheduler_shows_with_which_credentials_a_layer_was_pulled(private: Private, kind: str) -> None:
    if not private.keeps:
        pytest.skip("the stand-in for the scheduler of 2.1 hears of no pulls")
    node, image = NODES[0], private.push_to(kind, f"shown-{kind}")
    assert private.pull(f"shown-{kind}", image.reference, node, SECRET).startswith("Successfully pulled")
    shown = private.shown_by_scheduler(image)
    assert (CREDENTIALS if kind == BASIC else "Bearer ") in shown


def test_credentials_are_in_no_log(private: Private) -> None:
    own = f"--selector=app.kubernetes.io/name={NAMES.app}"
    for name in private.stack.kubectl("get", "pods", own, "--output=name").split():
        lines = private.stack.kubectl("logs", name, "--all-containers", "--tail=-1").splitlines()
        assert [line for line in lines if CREDENTIALS in line or "Bearer ey" in line] == [], name
