"""The acts of the demo: each runs commands against the server, shows what came, and checks what it claims."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from demo_generation import GenerationActs
from demo_stage import GRPCURL, MODELS, PREDICTCTL, ROOT, SCRATCH, DemoError, Result, Server, Stage, events, wait_until

HELDOUT = f"{MODELS}/digits/heldout"
IMAGE_INPUT = f"image=@{HELDOUT}/images.npy"
VERSIONS = ("1", "2")
BACKENDS = {"1": "TorchScript", "2": "AOTInductor"}
# Fixed, whatever the machine, so that two calls can keep all of them busy.
WORKERS = 2
ROWS_SHOWN = 4
CHUNK_ROWS = 32
CALLS_AT_ONCE = 16
DEADLINE_MS = 20
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Answers:
    """What the server said to some images."""

    labels: numpy.ndarray
    probabilities: numpy.ndarray


def answers(outputs: Sequence[dict[str, Any]]) -> Answers:
    """From the outputs of an answer in JSON."""
    by_name = {output["name"]: output for output in outputs}
    labels = numpy.array(by_name["label"]["int64_values"], dtype=numpy.int64)
    probabilities = numpy.array(by_name["probabilities"]["float_values"], dtype=numpy.float64)
    return Answers(labels, probabilities.reshape(len(labels), -1))


def succeeded(result: Result) -> Result:
    if result.code != 0:
        raise DemoError(f"exit code {result.code}: {result.stderr.strip()}")
    return result


class Acts:
    """The acts, in their order: later ones compare with the answers of earlier ones."""

    def __init__(self, stage: Stage, server: Server) -> None:
        self.stage = stage
        self.server = server
        self.images = numpy.load(ROOT / HELDOUT / "images.npy")
        self.labels = numpy.load(ROOT / HELDOUT / "labels.npy")
        self.pytorch = json.loads((ROOT / HELDOUT / "accuracy.json").read_text())
        self.streamed: dict[str, Answers] = {}
        self.calls = 0

    def run(self) -> None:
        self.models()
        self.digits()
        self.heldout()
        self.trailers()
        self.deadline()
        self.cancel()
        self.wrong_request()
        self.grpcurl()
        generation = GenerationActs(self.stage, self.server)
        generation.chat()
        generation.together()
        generation.hang_up()
        self.shutdown()

    def models(self) -> None:
        stage = self.stage
        stage.act(
            "The models", "Two versions of a digit reader, a language model, and a model that is slow on purpose."
        )
        stage.output(succeeded(stage.predictctl("models")).stdout)
        listed = succeeded(stage.predictctl("--json", "models")).json()["response"]["models"]
        states = {
            f"{model['name']}/{version['version']}": (version["backend"], version["state"].removeprefix("MODEL_STATE_"))
            for model in listed
            for version in model["versions"]
        }
        stage.table([("MODEL/VERSION", "RUN BY", "STATE"), *((name, *state) for name, state in states.items())])
        ready = [name for name, (_, state) in states.items() if state == "READY"]
        expected = {
            "digits/1": "torchscript",
            "digits/2": "aotinductor",
            "slow/1": "torchscript",
            "smollm2/1": "torchscript",
        }
        right = all(states.get(name) == (backend, "READY") for name, backend in expected.items())
        stage.claim(right, f"{', '.join(sorted(ready))} are ready, TorchScript and AOTInductor side by side")
        stage.summarize("models", f"{len(ready)} of {len(states)} versions ready")

    def digits(self) -> None:
        stage = self.stage
        stage.act(
            "Four handwritten digits",
            "The first four of the held-out set: the training never saw them. 8x8 pixels in, probabilities out.",
        )
        arguments = ["--json", "predict", "digits", "--input", IMAGE_INPUT, "--rows", f"0:{ROWS_SHOWN}"]
        found = {
            version: answers(
                succeeded(stage.predictctl(*arguments, "--version", version)).json()["response"]["outputs"]
            )
            for version in VERSIONS
        }
        self._draw(found)
        difference = numpy.abs(found["1"].probabilities - found["2"].probabilities).max()
        same = numpy.array_equal(found["1"].labels, found["2"].labels) and difference < TOLERANCE
        stage.claim(same, f"both versions agree; no probability differs by more than {difference:.0e}")
        meant = self.labels[:ROWS_SHOWN]
        right = int(((found["1"].labels == meant) & (found["2"].labels == meant)).sum())
        stage.summarize("four digits", f"{right} of {ROWS_SHOWN} read as they were meant, by both versions")

    def heldout(self) -> None:
        stage = self.stage
        stage.act(
            "The whole held-out set, streamed",
            f"One call each; results of {CHUNK_ROWS} rows come as they are computed. The accuracy is counted from "
            "these answers, and compared with what PyTorch itself got when the model was exported. Times count from "
            "the start of predictctl; rows/s are those of the call.",
        )
        rows: list[tuple[str, ...]] = [
            ("VERSION", "ROWS", "RESULTS", "FIRST AFTER", "ALL AFTER", "ROWS/S", "RIGHT", "ACCURACY", "PYTORCH")
        ]
        equal = True
        for version in VERSIONS:
            row, right = self._stream_heldout(version)
            rows.append(row)
            equal = equal and right == self.pytorch["versions"][version]["correct"]
        stage.table(rows, right="12345678")
        total = len(self.labels)
        counts = {version: int((self.streamed[version].labels == self.labels).sum()) for version in VERSIONS}
        equal = equal and counts["1"] == counts["2"] and total == self.pytorch["samples"]
        accuracy = counts["2"] / total
        figure = f"{accuracy:.4f} ({counts['2']} of {total})"
        stage.claim(equal, f"held-out accuracy {figure}: equal for both versions, and equal to PyTorch's own")
        stage.summarize("held-out accuracy", f"{figure}, both versions, equal to PyTorch's own")

    def trailers(self) -> None:
        stage = self.stage
        stage.act(
            "What every answer's trailers say",
            "The trailer `server-timing` says where the time went; predictctl prints it as its last line.",
        )
        arguments = ["predict", "digits", "--input", IMAGE_INPUT, "--rows", "0:8", "--output", "label"]
        shown = succeeded(stage.predictctl(*arguments)).stdout
        stage.output(shown)
        found = re.findall(r"([a-z ]+?) ([\d.]+)", shown.strip().splitlines()[-1].replace(", ", ","))
        figures = {name: float(value) for name, value in found}
        meanings = {
            "decode": "reading the request and checking it against the signature",
            "queue": "waiting for a worker",
            "forward": "the model, for the whole batch",
            "total": "all of it, in the server",
            "batch": "rows that ran together in that forward",
            "round trip": "as the client saw it",
        }
        if meanings.keys() - figures.keys():
            raise DemoError(f"the answer's trailers lack {', '.join(meanings.keys() - figures.keys())}")
        rows = [
            (name, f"{figures[name]:.0f}" if name == "batch" else f"{figures[name]:.2f} ms", meaning)
            for name, meaning in meanings.items()
        ]
        stage.table([("", "", "WHAT IT IS"), *rows], right="1")
        parts = figures["decode"] + figures["queue"] + figures["forward"]
        # Each figure is rounded.
        adds_up = parts <= figures["total"] + 0.03 and figures["total"] <= figures["round trip"] + 0.03
        total = figures["total"]
        stage.claim(adds_up, f"decode + queue + forward explain {parts:.2f} of the {total:.2f} ms in the server")
        stage.summarize("one call of 8 rows", f"forward {figures['forward']} ms, round trip {figures['round trip']} ms")
        self._batching()

    def _batching(self) -> None:
        stage = self.stage
        print()
        stage.say(
            f"Now {CALLS_AT_ONCE} callers at once. Two slow calls keep both workers busy; meanwhile {CALLS_AT_ONCE} "
            "separate predictctl each send one digit. What waits together runs together, and only the trailers tell.",
        )
        # As many rows as a batch of this model may have, so that the two do not share a worker.
        busy = ["predict", "slow", "--input", "x=[[400],[400],[400],[400]]"]
        slow = [stage.start(PREDICTCTL, *busy, comment="twice, in the background")]
        slow.append(stage.start(PREDICTCTL, *busy, show=False))
        wait_until(lambda: self.server.metric("requests_running", model="slow") == WORKERS, "both workers were busy")
        batches_before = self.server.metric("batch_rows_count", model="digits", version="2")
        callers = []
        for row in range(CALLS_AT_ONCE):
            command = ["--json", "predict", "digits", "--version", "2", "--input", IMAGE_INPUT]
            rows = ["--rows", f"{row}:{row + 1}"]
            comment = f"at once with 1:2, 2:3, ... {CALLS_AT_ONCE - 1}:{CALLS_AT_ONCE}"
            callers.append(stage.start(PREDICTCTL, *command, *rows, show=row == 0, comment=comment))
        documents = [succeeded(stage.finish(caller)).json() for caller in callers]
        for child in slow:
            succeeded(stage.finish(child))
        batches = int(self.server.metric("batch_rows_count", model="digits", version="2") - batches_before)
        sizes = [int(document["timings"]["batch"]) for document in documents]
        stage.table(
            [
                ("BATCH", "CALLS IN IT", "QUEUE", "FORWARD"),
                *(
                    (str(size), str(count), *(self._range(documents, key, size) for key in ("queue_ms", "forward_ms")))
                    for size, count in sorted(Counter(sizes).items(), reverse=True)
                ),
            ],
            right="0123",
        )
        passes = f"{batches} forward pass{'es' if batches != 1 else ''}"
        stage.claim(max(sizes) > 1 and batches < CALLS_AT_ONCE, f"{CALLS_AT_ONCE} calls ran in {passes}")
        found = [answers(document["response"]["outputs"]) for document in documents]
        own = [self.streamed["2"].probabilities[row] for row in range(CALLS_AT_ONCE)]
        difference = max(numpy.abs(one.probabilities[0] - own[row]).max() for row, one in enumerate(found))
        closeness = f"within {difference:.0e} of" if difference else "bit for bit"
        stage.claim(difference < TOLERANCE, f"each caller got its own digit's answer, {closeness} the streamed one")
        stage.summarize("batching", f"{CALLS_AT_ONCE} calls in {passes}, up to {max(sizes)} rows in one")

    def deadline(self) -> None:
        stage, server = self.stage, self.server
        stage.act(
            "A deadline that is missed",
            f"The model computes for some 200 ms, the caller gives it {DEADLINE_MS}. The answer does not wait for the "
            "model; what has begun to run ends (LibTorch cannot be interrupted), but for nobody.",
        )
        passes_before = server.metric("compute_seconds_count", model="slow")
        seconds_before = server.metric("compute_seconds_sum", model="slow")
        start = time.monotonic()
        result = stage.predictctl("--json", "--deadline", f"{DEADLINE_MS}ms", "predict", "slow", "--input", "x=[[200]]")
        stage.output(result.stderr)
        answer = result.json()
        status = answer.get("error", {}).get("code", "OK")
        elapsed_ms = answer["timings"]["round_trip_ms"]
        wait_until(lambda: self._in_flight("Predict") == 0, "no call was in flight any more")
        ended_ms = (time.monotonic() - start) * 1000
        wait_until(lambda: bool(self._missed()), "the server's log had the missed deadline")
        where = self._missed()[0]
        wait_until(lambda: self._gauges() == 0, "the gauges were back to 0")
        idle_ms = (time.monotonic() - start) * 1000
        ran = "batch" in where
        if ran:
            counted = "compute_seconds_count"
            wait_until(lambda: server.metric(counted, model="slow") > passes_before, "the forward pass was counted")
        model_ms = (server.metric("compute_seconds_sum", model="slow") - seconds_before) * 1000
        stage.claim(
            status == "DEADLINE_EXCEEDED" and result.code == 14,
            f"{status}, exit code {result.code}; the server's log says: {where}",
        )
        model = f"the model computed for {model_ms:.0f} ms" if ran else "the model never ran"
        stage.claim(elapsed_ms < (model_ms if ran else 200), f"answered after {elapsed_ms:.0f} ms; {model}")
        stage.claim(
            self._gauges() == 0,
            f"no call in flight after {ended_ms:.0f} ms, nothing queued or running after {idle_ms:.0f} ms: gauges at 0",
        )
        stage.summarize("missed deadline", f"{DEADLINE_MS} ms allowed, answered after {elapsed_ms:.0f} ms, gauges at 0")

    def cancel(self) -> None:
        stage, server = self.stage, self.server
        rows = 200
        stage.act(
            "A stream that is cancelled",
            f"{rows} rows of some 20 ms each; Ctrl-C after the third result. What was not computed yet never will be.",
        )
        numpy.save(ROOT / SCRATCH / "slow.npy", numpy.full((rows, 1), 20, dtype=numpy.float32))
        rows_before = server.metric("batch_rows_sum", model="slow")
        passes_before = server.metric("batch_rows_count", model="slow")
        argv = ["--json", "stream", "slow", "--chunk-rows", "1", "--input", f"x=@{SCRATCH}/slow.npy"]
        child = stage.start(PREDICTCTL, *argv, comment="Ctrl-C")
        received = 0
        for event in events(child):
            received += "rows" in event
            if received == 3:
                break
        interrupted = time.monotonic()
        child.send_signal(signal.SIGINT)
        result = stage.finish(child)
        stage.output(result.stderr)
        received += result.stdout.count('{"rows":')
        wait_until(lambda: self._gauges() == 0, "the gauges were back to 0")
        idle_ms = (time.monotonic() - interrupted) * 1000
        computed = int(server.metric("batch_rows_sum", model="slow") - rows_before)
        passes = int(server.metric("batch_rows_count", model="slow") - passes_before)
        watched_s = 0.4
        time.sleep(watched_s)
        later = int(server.metric("batch_rows_count", model="slow") - passes_before)
        stage.claim(result.code == 130, f"exit code {result.code}, after {received} of {rows} results")
        stage.claim(
            passes == later and computed < rows,
            f"{passes} batches ({computed} rows) were computed, all within {idle_ms:.0f} ms of Ctrl-C; "
            f"{watched_s * 1000:.0f} ms later it is still {later}",
        )
        stage.summarize("cancelled stream", f"{computed} of {rows} rows computed, idle {idle_ms:.0f} ms after Ctrl-C")

    def wrong_request(self) -> None:
        stage = self.stage
        stage.act("Wrong requests", "An error names the field, and says what was expected and what came.")
        result = stage.predictctl("predict", "digits", "--input", "image=[[0, 5, 13], [9, 1, 0]]")
        stage.output(result.stderr)
        named = "INVALID_ARGUMENT" in result.stderr and "inputs[0].shape" in result.stderr
        stage.claim(result.code == 13 and named, f"INVALID_ARGUMENT at inputs[0].shape, exit code {result.code}")
        result = stage.predictctl("predict", "digit", "--input", IMAGE_INPUT)
        stage.output(result.stderr)
        listed = all(word in result.stderr for word in ("NOT_FOUND", "digits", "slow"))
        stage.claim(result.code == 15 and listed, f"NOT_FOUND, with the names that there are, exit code {result.code}")
        stage.summarize("wrong requests", "INVALID_ARGUMENT at inputs[0].shape; NOT_FOUND with the names")

    def grpcurl(self) -> None:
        stage = self.stage
        stage.act(
            "No client at all",
            "Reflection is on and tensors may be plain JSON, so a stock grpcurl will do. Look closely at the numbers.",
        )
        described = succeeded(
            stage.grpcurl("-plaintext", stage.address, "describe", "predictd.v1.PredictionService.PredictStream")
        )
        stage.output(described.stdout)
        pixels = [", ".join(f"{int(value):2d}" for value in line) for line in self.images[0, 0]]
        body = (
            '{\n  "model_name": "digits", "outputs": ["label"],\n  "inputs": [{"name": "image", "float_values": [\n    '
            + ",\n    ".join(pixels)
            + "\n  ]}]\n}"
        )
        method = "predictd.v1.PredictionService/Predict"
        answer = succeeded(stage.grpcurl("-plaintext", "-d", body, stage.address, method))
        stage.output(answer.stdout)
        label = int(answer.json()["outputs"][0]["int64_values"][0])
        stage.claim(label == self.streamed["2"].labels[0], f"the same answer as predictctl got: a {label}")
        stage.summarize("grpcurl", f"described by reflection; plain JSON in, a {label} out")

    def shutdown(self) -> None:
        stage, server = self.stage, self.server
        stage.act("SIGTERM", "A call is running when the signal comes. It is answered; then the server ends.")
        health = "grpc.health.v1.Health/Watch"
        watch = stage.start(GRPCURL, "-plaintext", stage.address, health, comment="in the background")
        call = stage.start(PREDICTCTL, "--json", "predict", "slow", "--input", "x=[[300]]", comment="in the background")
        wait_until(lambda: self._in_flight("Watch") == 1, "health was watched")
        wait_until(lambda: server.metric("requests_running", model="slow") == 1, "the call was running")
        stage.command(["kill", "-TERM", str(server.process.pid)])
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        answered = stage.finish(call)
        wait_until(lambda: server.process.poll() is not None, "predictd ended")
        code = server.process.returncode
        seconds = time.monotonic() - start
        states = re.findall(r'"status": "(\w+)"', stage.finish(watch).stdout)
        last = server.log_lines()[-1]
        stage.output(last)
        stage.claim(states == ["SERVING", "NOT_SERVING"], f"health, as watched: {', then '.join(states)}")
        value = answered.json()["response"]["outputs"][0]["float_values"] if answered.code == 0 else answered.stderr
        stage.claim(answered.code == 0, f"the running call was still answered: y = {value}")
        counts = re.search(r"calls_accepted=(\d+) calls_ended=(\d+)", last)
        self.calls = int(counts[1]) if counts else 0
        stage.claim(
            code == 0 and counts is not None and counts[1] == counts[2],
            f"exit code {code} after {seconds:.1f} s; of {self.calls} calls that were accepted, all ended",
        )
        stage.summarize("SIGTERM", f"exit code {code}, {self.calls} calls accepted and ended")

    # --- What the acts share ---

    def _stream_heldout(self, version: str) -> tuple[tuple[str, ...], int]:
        """Streams the held-out set; returns a line of the table, and how many answers were right."""
        stage = self.stage
        start = time.monotonic()
        child = stage.start(
            PREDICTCTL, "--json", "stream", "digits", "--version", version, "--input", IMAGE_INPUT,
            "--chunk-rows", str(CHUNK_ROWS),
        )  # fmt: skip
        labels = numpy.full(len(self.labels), -1, dtype=numpy.int64)
        probabilities = numpy.full((len(self.labels), 10), numpy.nan)
        first_s = end_s = 0.0
        results = rows = 0
        code = ""
        timings: dict[str, Any] = {}
        for event in events(child):
            if "rows" in event:
                end_s = time.monotonic() - start
                first_s = first_s or end_s
                first, count = int(event["rows"].get("first_row", 0)), int(event["rows"]["row_count"])
                found = answers(event["rows"]["outputs"])
                labels[first : first + count] = found.labels
                probabilities[first : first + count] = found.probabilities
                results += 1
                rows += count
            elif "end" in event:
                code, timings = event["end"]["code"], event["end"]["timings"]
        result = succeeded(stage.finish(child))
        if code != "OK" or rows != len(self.labels):
            raise DemoError(f"the stream ended with {code or 'no code'} after {rows} rows: {result.stderr.strip()}")
        self.streamed[version] = Answers(labels, probabilities)
        correct = int((labels == self.labels).sum())
        line = (
            f"{version} {BACKENDS[version]}",
            str(rows),
            str(results),
            f"{first_s * 1000:.0f} ms",
            f"{end_s * 1000:.0f} ms",
            f"{rows / timings['round_trip_ms'] * 1000:,.0f}",
            str(correct),
            f"{correct / rows:.4f}",
            f"{self.pytorch['versions'][version]['accuracy']:.4f}",
        )
        return line, correct

    def _draw(self, found: dict[str, Answers]) -> None:
        """The digits side by side, and under each what was meant and what each version says."""
        stage = self.stage
        print()
        for line in range(8):
            drawn = ("".join(self._pixel(value) for value in image[0, line]) for image in self.images[:ROWS_SHOWN])
            print((" " * 16 + "    ".join(drawn)).rstrip())
        columns = {"written as": [str(label) for label in self.labels[:ROWS_SHOWN]]}
        for version, answer in found.items():
            likeliest = answer.probabilities.max(axis=1)
            columns[f"version {version}"] = [
                f"{label}  ({probability:.2%})" for label, probability in zip(answer.labels, likeliest, strict=True)
            ]
        print()
        for name, cells in columns.items():
            print(stage.paint("2", f"    {name:12}") + "    ".join(f"{cell:16}" for cell in cells).rstrip())

    def _pixel(self, value: float) -> str:
        """Two characters as dark as the ink: 0 to 16."""
        if self.stage.color:
            return f"\033[48;5;{232 + round(float(value) / 16 * 23)}m  \033[0m"
        shades = " ░▒▓█" if self.stage.unicode else " .+#@"
        return shades[round(float(value) / 16 * 4)] * 2

    def _range(self, documents: Sequence[dict[str, Any]], timing: str, batch: int) -> str:
        values = [document["timings"][timing] for document in documents if int(document["timings"]["batch"]) == batch]
        least, most = f"{min(values):.1f}", f"{max(values):.1f}"
        return f"{least} ms" if least == most else f"{least} to {most} ms"

    def _in_flight(self, method: str) -> float:
        return self.server.metric("requests_in_flight", method=method)

    def _missed(self) -> list[str]:
        """Where the deadlines of predictions passed, as the server's log says."""
        lines = [line for line in self.server.log_lines() if "method=Predict " in line]
        return re.findall(r'code=DEADLINE_EXCEEDED message="([^"]*)"', "\n".join(lines))

    def _gauges(self) -> float:
        """Everything that is in flight in a prediction, queued or running."""
        waiting = self.server.metric("queue_depth") + self.server.metric("requests_running")
        return waiting + self._in_flight("Predict") + self._in_flight("PredictStream")
