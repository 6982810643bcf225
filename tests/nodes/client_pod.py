"""A pod beside an installation, let in by a network policy, from which the databases and the REST API are asked."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dragonfly.parts import ports
from dragonfly.parts.images import Image
from local.api.letting_in import letting_in
from local.images.catalog import default_references

NAME = "client"
CALL_SECONDS = 15
"""Longest that one question may take. A database that was killed refuses connections, it does not let them hang."""

# The password is the first line of what they read, the rest is the client's: neither shows in a list of processes.
_WITH_PASSWORD = 'read -r {variable}; [ -n "${variable}" ] || unset {variable}; export {variable}; exec {client}'
_REQUEST = 'exec 3<>"/dev/tcp/$0/$1"; cat >&3; cat <&3'


class CallError(RuntimeError):
    """The client failed; the message is what it said."""


@dataclass(frozen=True)
class ClientPod:
    """The pod, in a namespace of its own: what deletes an installation's pods leaves it.

    Args:
        kubectl: the command line up to the verb.
        namespace: of the pod.
        installation: namespace in which the Services are.
        app: the instance's name, with which theirs begin.
    """

    kubectl: tuple[str, ...]
    namespace: str
    installation: str
    app: str

    def start(self) -> None:
        """Makes the namespace, the pod and its way in, and waits until it runs."""
        references = default_references()
        containers = [
            {
                "name": image.value,
                "image": references.reference(image),
                "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; while sleep 1; do :; done"],
            }
            for image in (Image.MYSQL, Image.REDIS)
        ]
        documents = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": NAME, "namespace": self.namespace},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": containers},
            },
        ]
        self._run(["apply", "-f", "-"], json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
        allowed = json.dumps(letting_in(self.namespace, self.app, self.namespace))
        self._run(["apply", f"--namespace={self.installation}", "-f", "-"], allowed)
        ready = ["wait", f"--namespace={self.namespace}", "--for=condition=Ready", "--timeout=30s", f"pod/{NAME}"]
        self._run(ready, "", seconds=40)

    def sql(self, user: str, password: str, statements: str) -> str:
        """What the database answers, a line for each row.

        Args:
            user: who signs in.
            password: theirs; empty for none.
            statements: SQL.

        Raises:
            CallError: sign-in or a statement was refused, or nobody answers.
        """
        client = f"mysql --host={self._service('mysql-svc')} --port={ports.MYSQL} --user={user} --connect-timeout=5"
        # Without a group of options: the image's socket is another pod's.
        script = _WITH_PASSWORD.format(variable="MYSQL_PWD", client=f"{client} --batch --skip-column-names")
        return self._shell(Image.MYSQL, script, f"{password}\n{statements}")

    def redis(self, password: str, commands: str) -> str:
        """What Redis answers, errors too.

        Args:
            password: of the default user; empty for none.
            commands: a line for each.

        Raises:
            CallError: nobody answers.
        """
        client = f"redis-cli -h {self._service('redis-svc')} -p {ports.REDIS}"
        script = _WITH_PASSWORD.format(variable="REDISCLI_AUTH", client=client)
        return self._shell(Image.REDIS, script, f"{password}\n{commands}")

    def get(self, service: str, port: int, path: str) -> tuple[int, str]:
        """Status and body of a GET request to a Service.

        Raises:
            CallError: nobody answers.
        """
        return self._http(service, port, f"GET {path}", "")

    def sign_in(self, password: str) -> int:
        """The status with which the console answers to its user root.

        Raises:
            CallError: nobody answers.
        """
        return self._sign_in(password)[0]

    def token(self, password: str) -> str | None:
        """What shows that root has signed in; None where the manager refuses.

        Raises:
            CallError: nobody answers.
        """
        status, text = self._sign_in(password)
        return str(json.loads(text)["token"]) if status == 200 else None

    def signed_in(self, token: str, request: str, document: object = None) -> Any:
        """What the REST API answers to its user root.

        Args:
            token: root's.
            request: method and path.
            document: what is sent; None for nothing.

        Raises:
            CallError: nobody answers, or it refuses.
        """
        body = "" if document is None else json.dumps(document)
        status, text = self._http("manager-service", ports.MANAGER_REST, request, body, token)
        if status != 200:
            raise CallError(f"{request} is answered with {status}: {text}")
        return json.loads(text)

    def _sign_in(self, password: str) -> tuple[int, str]:
        body = json.dumps({"name": "root", "password": password})
        return self._http("manager-service", ports.MANAGER_REST, "POST /api/v1/users/signin", body)

    def _http(self, service: str, port: int, request: str, body: str, token: str = "") -> tuple[int, str]:
        host = self._service(service)
        lines = [
            f"{request} HTTP/1.0",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {token}"] if token else []),
        ]
        command = ["bash", "-c", _REQUEST, host, str(port)]
        answer = self._exec(Image.MYSQL, command, "\r\n".join([*lines, "", body]))
        head, _, rest = answer.replace("\r\n", "\n").partition("\n\n")
        if not head.startswith("HTTP/"):
            raise CallError(f"{host}:{port} does not answer {request}: {answer!r}")
        return int(head.split()[1]), rest

    def _service(self, suffix: str) -> str:
        return f"{self.app}-{suffix}.{self.installation}"

    def _shell(self, image: Image, script: str, text: str) -> str:
        return self._exec(image, ["/bin/sh", "-c", script], text)

    def _exec(self, image: Image, command: list[str], text: str) -> str:
        # `timeout` in the pod: a client that hangs would stay there when kubectl has been ended.
        bounded = ["timeout", str(CALL_SECONDS), *command]
        target = ["exec", "--stdin", f"--namespace={self.namespace}", NAME, f"--container={image.value}", "--"]
        return self._run([*target, *bounded], text, seconds=CALL_SECONDS + 5)

    def _run(self, arguments: list[str], text: str, seconds: float = CALL_SECONDS) -> str:
        try:
            done = subprocess.run(
                [*self.kubectl, *arguments], input=text, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise CallError(f"kubectl {arguments[0]}: no answer within {seconds:.0f} s") from error
        if done.returncode != 0:
            raise CallError(f"kubectl {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def kubectl_command(kubectl: Path, kubeconfig: Path) -> tuple[str, ...]:
    """The command line of kubectl on a cluster, up to the verb."""
    return (str(kubectl), f"--kubeconfig={kubeconfig}")
