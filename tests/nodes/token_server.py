"""Gives one user tokens for a registry: `python -m tests.nodes.token_server PORT CERTIFICATE KEY PASSWORD_FILE`.

See "Token Authentication Specification" in the Distribution documentation. The registry, which is the real one, checks
what is signed here.
"""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import sys
import time
import urllib.parse
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

USER, ISSUER, SERVICE = "user", "token-server", "registry"
PATH = "/token"
_SECONDS = 300


def signed_token(certificate: Path, key: Path, scope: str) -> str:
    """Return a token.

    Args:
        certificate: PEM file, which says who has signed.
        key: its private key.
        scope: `repository:NAME:ACTION,...`, as the registry asks for it; may be empty.
    """
    now = int(time.time())
    kind, name, actions = scope.split(":") if scope else ("", "", "")
    claims = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": USER,
        "iat": now,
        "nbf": now - 10,
        "exp": now + _SECONDS,
        "jti": str(now),
        "access": [{"type": kind, "name": name, "actions": actions.split(",")}] if scope else [],
    }
    chain = [base64.b64encode(x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER))]
    return jwt.encode(claims, key.read_bytes(), "ES256", {"x5c": [each.decode() for each in chain]})


def _serve(port: int, certificate: Path, key: Path, password: str) -> None:
    expected = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            if url.path != PATH or self.headers.get("Authorization") != expected:
                self.send_error(401)
                return
            scope = dict(urllib.parse.parse_qsl(url.query)).get("scope", "")
            body = json.dumps({"token": signed_token(certificate, key, scope), "expires_in": _SECONDS}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            # OAuth, which registries need not have: the client then asks as above.
            self.send_error(405)

    with http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]).read_text())
