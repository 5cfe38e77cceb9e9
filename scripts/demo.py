#!/usr/bin/env python3
"""Shows what predictd does: on handwritten digits that the model has never seen, and with a language model.

Every sentence with a check mark was measured in this run; if one does not hold, the demo says so and exits with 1.
With --serve it shows nothing, leaves the server running and prints commands to try. To be run by scripts/demo.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import time

from demo_acts import IMAGE_INPUT, WORKERS, Acts
from demo_stage import (
    ADDRESS_VARIABLE,
    GRPCURL,
    MODELS,
    PREDICTCTL,
    ROOT,
    SCRATCH,
    DemoError,
    Server,
    Stage,
    check_programs,
    free_port,
    ignore_signals,
    raise_on_signals,
)


def show() -> int:
    """Runs the acts on a server of their own; returns the exit code."""
    stage = Stage()
    start = time.monotonic()
    # Drains for a moment before it refuses calls, as behind a load balancer, so that health's change can be seen.
    options = ["--workers", str(WORKERS), "--drain-delay", "300ms"]
    server = Server(options, 0, 0, ROOT / SCRATCH / "server.log")
    try:
        ready_s = server.wait_ready()
        stage.command(server.argv, comment="in the background")
        stage.command(["export", f"{ADDRESS_VARIABLE}={server.address}"])
        stage.say(f"Serving after {ready_s:.1f} s, with its log in {SCRATCH}/server.log.")
        stage.address = server.address
        acts = Acts(stage, server)
        acts.run()
    finally:
        ignore_signals()
        stage.end_children()
        server.stop()
    seconds = time.monotonic() - start
    stage.heading("What happened")
    stage.table(stage.summary)
    if stage.failed_claims:
        raise DemoError(f"{len(stage.failed_claims)} of the claims did not hold: {'; '.join(stage.failed_claims)}")
    print(f"\n  everything above is real: {acts.calls} calls in {seconds:.1f} s, log in {SCRATCH}/server.log")
    print("  next: scripts/demo --serve leaves the server running for you; README.md tells the rest")
    return 0


def serve() -> int:
    """Leaves a server in the foreground until a signal; returns its exit code."""
    stage = Stage()
    control = f"127.0.0.1:{free_port(8502)}"
    server = Server(["--control-listen", control], free_port(8500), free_port(8501), None)
    try:
        server.wait_ready()
        print_commands(stage, server, control)
        code = server.process.wait()
        raise DemoError(f"predictd ended with exit code {code}: its reason is above")
    except KeyboardInterrupt:
        # The next one ends the server at once.
        server.process.send_signal(signal.SIGTERM)
        try:
            code = server.process.wait()
        except KeyboardInterrupt:
            server.process.send_signal(signal.SIGTERM)
            code = server.process.wait()
        print(f"\npredictd ended with exit code {code}")
        return code
    finally:
        ignore_signals()
        server.stop()


def print_commands(stage: Stage, server: Server, control: str) -> None:
    print(f"\npredictd serves {MODELS}/ on {server.address}. In another terminal, in {ROOT}:")
    if server.address != "127.0.0.1:8500":
        stage.command(["export", f"{ADDRESS_VARIABLE}={server.address}"])
    stage.command([PREDICTCTL, "models"])
    stage.command([PREDICTCTL, "predict", "digits", "--input", IMAGE_INPUT, "--rows", "0:4", "--argmax"])
    stage.command([PREDICTCTL, "stream", "digits", "--version", "1", "--input", IMAGE_INPUT, "--output", "label"])
    stage.command([PREDICTCTL, "generate", "smollm2", "Why is the sky blue?", "--chat", "--max-tokens", "100"])
    stage.command([PREDICTCTL, "chat", "smollm2"])
    stage.command([PREDICTCTL, "--address", control, "split", "digits", "1=90", "2=10"])
    stage.command([PREDICTCTL, "--deadline", "20ms", "predict", "slow", "--input", "x=[[500]]"])
    stage.command([GRPCURL, "-plaintext", server.address, "describe", "predictd.v1.PredictRequest"])
    body = '{"model_name": "slow", "inputs": [{"name": "x", "float_values": [1, 2, 3]}]}'
    stage.command([GRPCURL, "-plaintext", "-v", "-d", body, server.address, "predictd.v1.PredictionService/Predict"])
    stage.command([GRPCURL, "-plaintext", server.address, "grpc.health.v1.Health/Watch"])
    stage.command(["curl", "-s", server.metrics_url])
    print("\nCtrl-C stops it. Its log follows.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="leave the server running until Ctrl-C")
    arguments = parser.parse_args()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=True, errors="replace")
    raise_on_signals()
    try:
        check_programs()
        (ROOT / SCRATCH).mkdir(parents=True, exist_ok=True)
        return serve() if arguments.serve else show()
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the server is stopped, nothing is left running", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Nobody reads any more; Python would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
