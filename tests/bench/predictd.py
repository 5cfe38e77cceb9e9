"""predictd under test: started on free ports, waited for until every model serves."""

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.failure import BenchFailure
from bench.servers import START_SECONDS, ServerProcess

NAME = "predictd"


def add_flags_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predictd-flags", default="", metavar="FLAGS", help="more flags for predictd, in one string")


@contextmanager
def running_predictd(options: argparse.Namespace, repository: Path, folder: Path) -> Iterator[ServerProcess]:
    """predictd with that repository, its defaults and the flags of `options`; its files go to `folder`."""
    port_file = folder / "port"
    command = [options.build_dir / "bin" / "predictd", "--model-repository", repository, "--listen", "127.0.0.1:0"]
    command += ["--metrics-listen", "127.0.0.1:0", "--port-file", port_file, *shlex.split(options.predictd_flags)]
    log = folder / f"{NAME}.log"
    with ServerProcess(NAME, [str(part) for part in command], log, port_file) as server:
        wait_until_serving(server)
        yield server


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
