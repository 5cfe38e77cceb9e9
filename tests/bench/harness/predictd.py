"""predictd under test: started on free ports, waited for until every model serves."""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.harness.failure import BenchFailure
from bench.harness.servers import START_SECONDS, ServerProcess

NAME = "predictd"


def add_flags_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predictd-flags", default="", metavar="FLAGS", help="more flags for predictd, in one string")


@contextmanager
def running_predictd(
    options: argparse.Namespace,
    repository: Path,
    folder: Path,
    name: str = NAME,
    flags: Sequence[str] | None = None,
    wrapper: Sequence[str] = (),
) -> Iterator[ServerProcess]:
    """predictd with that repository and `flags` (by default those of `options`); its files go to `folder`, among them
    metrics_port_file.

    `wrapper` is a command that runs another one, which predictd becomes.
    """
    stem = name.replace(" ", "-")
    port_file = folder / f"{stem}.port"
    # Of one of the same name that has ended.
    port_file.unlink(missing_ok=True)
    command = [*wrapper, options.build_dir / "bin" / "predictd", "--model-repository", repository]
    command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--port-file", port_file]
    command += ["--metrics-port-file", metrics_port_file(folder, name)]
    command += shlex.split(options.predictd_flags) if flags is None else flags
    with ServerProcess(name, [str(part) for part in command], folder / f"{stem}.log", port_file) as server:
        wait_until_serving(server)
        yield server


def metrics_port_file(folder: Path, name: str = NAME) -> Path:
    """Where running_predictd leaves the port of its metrics."""
    return folder / f"{name.replace(' ', '-')}.metrics-port"


def wait_until_serving(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        try:
            statuses = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=START_SECONDS, wait_for_ready=True
            )
            for reply in statuses:
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        except grpc.RpcError as error:
            reason = f"{server.name} listens but is not serving: {error.code().name}\n{server.log_tail()}"
            raise BenchFailure(reason) from error
