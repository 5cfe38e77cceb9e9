"""predictctl and servers with TLS: certificates are checked, and what is wrong with them is said in words that help."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from predictctl import PREDICTCTL, USAGE, failed_with
from protocol import LIST_MODELS, ListModelsRequest, ListModelsResponse

UNAVAILABLE = failed_with(grpc.StatusCode.UNAVAILABLE)


@dataclass(frozen=True)
class Certificates:
    """A certificate for model.test, signed by itself, and its key."""

    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    made = Certificates(folder / "certificate.pem", folder / "key.pem")
    command: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=model.test", "-addext", "subjectAltName=DNS:model.test"]
    command += ["-keyout", made.key, "-out", made.certificate]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(name="certificates", scope="module")
def fixture_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


class Server:
    """Lists a model `secret`."""

    def __init__(self, credentials: grpc.ServerCredentials | None) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        answer = ListModelsResponse(models=[{"name": "secret"}])
        handler = grpc.unary_unary_rpc_method_handler(
            lambda _request, _context: answer, ListModelsRequest.FromString, ListModelsResponse.SerializeToString
        )
        service, method = LIST_MODELS[1:].split("/")
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [PREDICTCTL, f"--address={self.address}", "--deadline=10s", "models", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(name="server", scope="module")
def fixture_server(certificates: Certificates) -> Iterator[Server]:
    pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
    server = Server(grpc.ssl_server_credentials([pair]))
    yield server
    server.stop()


@pytest.fixture(name="strict_server", scope="module")
def fixture_strict_server(certificates: Certificates) -> Iterator[Server]:
    """Takes clients only that have the same certificate."""
    certificate = certificates.certificate.read_bytes()
    pair = (certificates.key.read_bytes(), certificate)
    server = Server(grpc.ssl_server_credentials([pair], root_certificates=certificate, require_client_auth=True))
    yield server
    server.stop()


@pytest.fixture(name="plain_server", scope="module")
def fixture_plain_server() -> Iterator[Server]:
    server = Server(None)
    yield server
    server.stop()


@pytest.mark.parametrize("option", ["--server-name", "--authority"])
def test_a_certificate_that_is_trusted_is_accepted(server: Server, certificates: Certificates, option: str) -> None:
    result = server.run(f"--cacert={certificates.certificate}", f"{option}=model.test")
    assert (result.returncode, result.stderr) == (0, "")
    assert "secret" in result.stdout


def test_a_certificate_of_another_name_is_refused(server: Server, certificates: Certificates) -> None:
    result = server.run("--tls", f"--cacert={certificates.certificate}")
    assert (result.returncode, result.stdout) == (UNAVAILABLE, "")
    assert "hint: its certificate is for another name: --server-name" in result.stderr


def test_a_certificate_that_nobody_trusts_is_refused(server: Server, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    for arguments in (["--tls"], [f"--cacert={other.certificate}"]):
        result = server.run(*arguments, "--server-name=model.test")
        assert result.returncode == UNAVAILABLE
        assert "hint: its certificate is not trusted: --cacert" in result.stderr


def test_a_client_shows_its_own_certificate(strict_server: Server, certificates: Certificates) -> None:
    trusted = [f"--cacert={certificates.certificate}", "--server-name=model.test"]
    own = [f"--cert={certificates.certificate}", f"--key={certificates.key}"]
    result = strict_server.run(*trusted, *own)
    assert (result.returncode, result.stderr) == (0, "")
    assert strict_server.run(*trusted).returncode == UNAVAILABLE


def test_tls_on_one_side_only_is_named(server: Server, plain_server: Server) -> None:
    result = server.run()
    assert result.returncode == UNAVAILABLE
    assert "one that expects TLS needs --tls" in result.stderr
    result = plain_server.run("--tls")
    assert result.returncode == UNAVAILABLE
    assert "does not seem to speak TLS: leave out --tls" in result.stderr


def test_files_that_are_no_certificates_are_named(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "ca.der").write_bytes(b"\x30\x82")
    result = server.run(f"--cacert={tmp_path}/ca.der")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "ca.der: not in PEM format" in result.stderr
    result = server.run(f"--cert={certificates.certificate}")
    assert result.returncode == USAGE
    assert "--key" in result.stderr
