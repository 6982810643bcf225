"""How the status command reaches a cluster: against a server that asks for a client's certificate."""

from __future__ import annotations

import base64
import http.server
import json
import socketserver
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException
from kubernetes.config import incluster_config

from dragonfly.access import objects as cluster_objects
from dragonfly.access.client import KubeconfigError, connect
from dragonfly.access.objects import Cluster, NoClusterError
from local.machine.certificates import Authority, Certificate
from tests.program.played import played_api_server

PASSWORD = "not.for.the.public"
# With a byte that is no text.
LOG = f"first\n\udcff DSN dragonfly:{PASSWORD}@tcp(mysql)\n\n"
LOG_OF_MYSQL = """\
0 [Note] InnoDB: Header page consists of zero bytes in datafile: ./ibdata1
0 [ERROR] InnoDB: The data file './ibdata1' has the wrong space ID. It should be 0, but 0 was found
0 [ERROR] Unknown/unsupported storage engine: InnoDB
0 [ERROR] Aborting
"""
EVENTS = {"items": [{"message": f"probe of {PASSWORD} failed", "name": PASSWORD}]}


@dataclass(frozen=True)
class Server:
    """An API server's two answers, and who asked for them."""

    url: str
    authority: Path
    client: Certificate
    asked: list[tuple[str, str | None]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    authority = Authority(tmp_path / "pki", "ca")
    own = authority.server("server", ["127.0.0.1"])
    asked: list[tuple[str, str | None]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection: Any = self.connection
            certificate: dict[str, Any] = connection.getpeercert() or {}
            user = "somebody" if "somebody" in str(certificate.get("subject")) else ""
            asked.append((user, self.headers["Authorization"]))
            log = LOG_OF_MYSQL if "mysql" in self.path else LOG
            text = log if "/log" in self.path else json.dumps(EVENTS)
            # An API server has objects as JSON and logs as text.
            taken = self.headers["Accept"] == "application/json, */*"
            self.send_response(406 if not taken else 200 if user or self.headers["Authorization"] else 401)
            self.end_headers()
            self.wfile.write(text.encode(errors="surrogateescape"))

        def log_message(self, format: str, *args: object) -> None: ...

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(own.certificate, own.key)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    # By default it looks every half second whether it is to end.
    threading.Thread(target=listening.serve_forever, args=[0.02], daemon=True).start()
    url = f"https://127.0.0.1:{listening.server_port}"
    yield Server(url, authority.certificate, authority.client("client", "somebody"), asked)
    listening.shutdown()
    listening.server_close()


def embedded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def kubeconfig(server: Server, **user: Any) -> str:
    cluster = {"server": server.url, "certificate-authority-data": embedded(server.authority)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "chosen",
            "clusters": [{"name": "it", "cluster": cluster}],
            "contexts": [{"name": "chosen", "context": {"cluster": "it", "user": "one"}}],
            "users": [{"name": "one", "user": user}],
        }
    )


def ask(text: str | None, context: str | None = None) -> Cluster:
    with connect(text, context) as client:
        # One may begin with another.
        cluster = Cluster(client, "p2p", [PASSWORD[:12], PASSWORD])
        assert cluster.has_namespace(5)
        return cluster


def plugin(tmp_path: Path, status: dict[str, str]) -> dict[str, Any]:
    """A user whose kubeconfig names a program, which gets to know the cluster as GKE's does."""
    answer = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": status}
    code = (
        "import json, os, sys\n"
        "assert json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['server']\n"
        f"print({json.dumps(json.dumps(answer))})\n"
    )
    script = tmp_path / "plugin.py"
    script.write_text(code)
    command = {"command": sys.executable, "args": [str(script)], "provideClusterInfo": True, "interactiveMode": "Never"}
    return {"exec": {"apiVersion": answer["apiVersion"], **command}}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made; none of them is removed before the test has seen it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def keys_in(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if b"PRIVATE KEY" in file.read_bytes()]


def test_certificate_and_key_of_a_kubeconfig_sign_in_and_are_written_nowhere(server: Server, written: Path) -> None:
    pair = {
        "client-certificate-data": embedded(server.client.certificate),
        "client-key-data": embedded(server.client.key),
    }
    ask(kubeconfig(server, **pair))
    assert server.asked == [("somebody", None)]
    assert keys_in(written) == []


def test_certificate_and_key_of_a_plug_in_sign_in_and_are_written_nowhere(
    server: Server, written: Path, tmp_path: Path
) -> None:
    status = {
        "clientCertificateData": server.client.certificate.read_text(),
        "clientKeyData": server.client.key.read_text(),
    }
    ask(kubeconfig(server, **plugin(tmp_path, status)))
    assert server.asked == [("somebody", None)]
    assert keys_in(written) == []


def test_token_of_a_plug_in_signs_in(server: Server, tmp_path: Path) -> None:
    ask(kubeconfig(server, **plugin(tmp_path, {"token": "of-the-plug-in"})))
    assert server.asked == [("", "Bearer of-the-plug-in")]


def test_a_control_plane_that_everybody_trusts_needs_no_authority_in_the_kubeconfig(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(kubeconfig(server, **plugin(tmp_path, {"token": "of-the-plug-in"})))
    del document["clusters"][0]["cluster"]["certificate-authority-data"]
    with pytest.raises(NoClusterError):
        ask(json.dumps(document))
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    ask(json.dumps(document))
    assert server.asked == [("", "Bearer of-the-plug-in")]


def test_plug_in_goes_before_a_password_of_the_same_user(server: Server, tmp_path: Path) -> None:
    user = plugin(tmp_path, {"token": "of-the-plug-in"})
    ask(kubeconfig(server, username="u", password="p", **user))
    assert server.asked == [("", "Bearer of-the-plug-in")]


def test_plug_in_that_gives_a_certificate_without_its_key_is_refused(server: Server, tmp_path: Path) -> None:
    user = plugin(tmp_path, {"clientCertificateData": server.client.certificate.read_text()})
    with pytest.raises(KubeconfigError, match=r"returned neither a token nor a certificate with its key$"):
        connect(kubeconfig(server, **user), None)


def test_certificate_of_a_kubeconfig_without_its_key_is_nobodys(server: Server) -> None:
    with pytest.raises((KubeconfigError, NoClusterError)):
        ask(kubeconfig(server, **{"client-certificate-data": embedded(server.client.certificate)}))


def test_plug_in_that_is_not_there_is_told_with_its_hint(server: Server) -> None:
    user = {"exec": {"apiVersion": "v1", "command": "nowhere", "installHint": "install it"}}
    with pytest.raises(KubeconfigError, match="the kubeconfig cannot be used: nowhere is not on PATH: install it"):
        connect(kubeconfig(server, **user), None)


def test_plug_in_that_fails_is_told_with_what_it_printed(server: Server) -> None:
    code = "import sys; sys.exit('sign in first')"
    user = {"exec": {"apiVersion": "v1", "command": sys.executable, "args": ["-c", code]}}
    with pytest.raises(KubeconfigError, match="sign in first"):
        connect(kubeconfig(server, **user), None)


@pytest.fixture
def pod(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pod finds of its own account; it has no kubeconfig."""
    token = tmp_path / "token"
    token.write_text("of-the-pod")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(server.authority))
    host, port = server.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


@pytest.mark.usefixtures("pod")
def test_in_a_pod_without_a_kubeconfig_its_own_account_signs_in(server: Server) -> None:
    ask(None)
    assert server.asked == [("", "bearer of-the-pod")]


@pytest.mark.usefixtures("pod")
def test_a_context_is_looked_for_in_a_kubeconfig_in_a_pod_too(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=f"{tmp_path / 'none'} does not exist"):
        connect(None, "chosen")


def test_ambient_kubeconfig_and_a_context_of_it_serve_with_files_beside_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"client-certificate": "client.crt", "client-key": "client.key"}
    document = json.loads(kubeconfig(server, **user))
    document["current-context"] = "another"
    (tmp_path / "pki" / "config").write_text(json.dumps(document))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "pki" / "config"))
    ask(None, "chosen")
    assert server.asked == [("somebody", None)]
    with pytest.raises(KubeconfigError, match=r"the kubeconfig cannot be used: .*another"):
        connect(None, None)


def test_kubeconfig_of_the_home_is_the_ambient_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig(server, token="of-the-home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    ask(None)
    assert server.asked == [("", "Bearer of-the-home")]


def test_path_of_a_kubeconfig_serves_and_the_ambient_one_where_there_is_no_such_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text(kubeconfig(server, token="one"))
    (tmp_path / "ambient").write_text(kubeconfig(server, token="ambient"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "ambient"))
    ask(str(tmp_path / "one"))
    ask(str(tmp_path / "of-another-machine"))
    # Pulumi's provider takes an empty one for none.
    ask("")
    assert server.asked == [("", "Bearer one"), ("", "Bearer ambient"), ("", "Bearer ambient")]


def test_kubeconfig_that_is_neither_contents_nor_a_path_is_not_taken_for_the_ambient_one(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ambient").write_text(kubeconfig(server, token="ambient"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "ambient"))
    for text in ("[clusters]", "1"):
        with pytest.raises(KubeconfigError, match="it is neither a mapping nor a path"):
            connect(text, None)


def test_kubeconfig_that_is_none_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    for text in (
        "token: [secret-of-somebody",
        "secret-of-somebody",
        "[secret-of-somebody]",
        "users: secret-of-somebody",
    ):
        with pytest.raises(KubeconfigError) as caught:
            connect(text, None)
        assert "somebody" not in str(caught.value)


def test_nobody_is_told_that_the_credential_is_refused(server: Server) -> None:
    with pytest.raises(NoClusterError, match="refuses the credential"):
        ask(kubeconfig(server))


def test_loopback_is_asked_without_the_environments_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    ask(kubeconfig(server, token="t"))
    for given, expected in {"": "", "example.com": "example.com,"}.items():
        monkeypatch.setenv("NO_PROXY", given)
        with connect(kubeconfig(server, token="t"), None) as client:
            client_of: Any = client
            assert client_of.configuration.no_proxy == f"{expected}localhost,127.0.0.0/8,::1"


def test_server_that_hangs_up_is_not_asked_again() -> None:
    asked: list[str] = []

    class HangsUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(str(self.request.recv(1 << 16)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangsUp) as listening:
        threading.Thread(target=listening.serve_forever, args=[0.02], daemon=True).start()
        url = f"http://127.0.0.1:{listening.server_address[1]}"
        with (
            connect(played_api_server.kubeconfig(url), None) as client,
            pytest.raises(NoClusterError, match=r"does not answer: Remote end closed connection without response$"),
        ):
            Cluster(client, "p2p", []).has_namespace(5)
        listening.shutdown()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("<connection object at 0x7f>: Name or service not known"), "Name or service not known"),
        (ApiException(status=0, reason="SSLError: unexpected end"), "SSLError: unexpected end"),
    ],
)
def test_error_is_told_without_the_objects_around_it(error: Exception, told: str) -> None:
    assert cluster_objects._in_short(error) == told  # pyright: ignore[reportPrivateUsage]


def test_server_of_another_authority_is_not_believed(server: Server, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "ca").certificate
    text = kubeconfig(server, token="t").replace(embedded(server.authority), embedded(other))
    with pytest.raises(NoClusterError, match="certificate verify failed"):
        ask(text)


def test_passwords_are_masked_in_logs_and_messages_and_names_stay(server: Server) -> None:
    cluster = ask(kubeconfig(server, token="t"))
    assert (
        cluster.last_log_line("pod", "name", previous=False)
        == "\N{REPLACEMENT CHARACTER} DSN dragonfly:[secret]@tcp(mysql)"
    )
    assert cluster.read("app").events == [{"message": "probe of [secret] failed", "name": PASSWORD}]


def test_mysql_that_aborts_is_quoted_with_its_first_error(server: Server) -> None:
    line = ask(kubeconfig(server, token="t")).last_log_line("mysql-0", "mysql", previous=True)
    assert line == "0 [ERROR] InnoDB: The data file './ibdata1' has the wrong space ID. It should be 0, but 0 was found"
