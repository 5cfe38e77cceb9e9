"""Tensors in POSIX shared memory, as tritonclient has them."""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, serialize_byte_tensor, shared_memory

from generation import NAME as TINY_GENERATOR
from open_inference import infer_request, outputs, raw_infer, slow_input, triton_client, triton_error, triton_input
from predictd_process import PredictdProcess, eventually
from protocol import rpc_error, server_timing

ON = ["--shared-memory=system", "--workers=2"]
ROW = 64 * 4


class Region:
    """An object of shared memory, registered as a whole under its name."""

    def __init__(self, client: InferenceServerClient, name: str, byte_size: int) -> None:
        self.name, self.key, self.byte_size = name, f"/predictd-{os.getpid()}-{name}", byte_size
        self.handle = shared_memory.create_shared_memory_region(name, self.key, byte_size)
        self._client = client
        client.register_system_shared_memory(name, self.key, byte_size)

    def close(self) -> None:
        self._client.unregister_system_shared_memory(self.name)
        shared_memory.destroy_shared_memory_region(self.handle)

    def put(self, array: Any, offset: int = 0) -> int:
        """The number of bytes that it takes."""
        array = numpy.asarray(array)
        if array.dtype == numpy.object_:
            array = serialize_byte_tensor(array)
            size = len(array.item())
        else:
            size = array.nbytes
        shared_memory.set_shared_memory_region(self.handle, [array], offset)
        return size

    def get(self, shape: list[int], dtype: Any = numpy.float32, offset: int = 0) -> Any:
        return shared_memory.get_contents_as_numpy(self.handle, dtype, shape, offset).copy()

    def resize(self, byte_size: int) -> None:
        os.truncate(Path("/dev/shm" + self.key), byte_size)

    def input(self, name: str, array: Any, datatype: str = "FP32", offset: int = 0) -> InferInput:
        size = self.put(array, offset)
        return InferInput(name, list(numpy.shape(array)), datatype).set_shared_memory(self.name, size, offset)

    def output(self, name: str, byte_size: int, offset: int = 0) -> InferRequestedOutput:
        wanted = InferRequestedOutput(name)
        wanted.set_shared_memory(self.name, byte_size, offset)
        return wanted


@contextmanager
def region(client: InferenceServerClient, name: str, byte_size: int = 8192) -> Iterator[Region]:
    made = Region(client, name, byte_size)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", name="sharing")
def fixture_sharing() -> Iterator[PredictdProcess]:
    with PredictdProcess(["linear", "slow", "strings", "types"], flags=ON) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(sharing: PredictdProcess) -> Iterator[InferenceServerClient]:
    with triton_client(sharing) as client:
        yield client
        assert not client.get_system_shared_memory_status().regions, "a test has left regions"


# --- Registration ---


def test_it_is_off_unless_it_is_asked_for(server: PredictdProcess) -> None:
    with triton_client(server) as client:
        for call in (
            lambda: client.register_system_shared_memory("r", "/r", 4),
            client.get_system_shared_memory_status,
            client.unregister_system_shared_memory,
        ):
            code, message = triton_error(call)
            assert code == "UNIMPLEMENTED"
            assert "--shared-memory system" in message
        assert "system_shared_memory" not in client.get_server_metadata().extensions


def test_what_is_registered_is_listed(client: InferenceServerClient) -> None:
    assert "system_shared_memory" in client.get_server_metadata().extensions
    with region(client, "a", 100) as a, region(client, "b", 200) as b:
        client.register_system_shared_memory("part of b", b.key, 50, 150)
        listed = client.get_system_shared_memory_status().regions
        assert {name: (each.name, each.key, each.offset, each.byte_size) for name, each in listed.items()} == {
            "a": ("a", a.key, 0, 100),
            "b": ("b", b.key, 0, 200),
            "part of b": ("part of b", b.key, 150, 50),
        }
        assert client.get_system_shared_memory_status("b").regions.keys() == {"b"}
        code, message = triton_error(lambda: client.register_system_shared_memory("a", a.key, 4))
        assert (code, "'a'" in message) == ("ALREADY_EXISTS", True)
        client.unregister_system_shared_memory("part of b")
        client.unregister_system_shared_memory("part of b")
        assert client.get_system_shared_memory_status().regions.keys() == {"a", "b"}
        assert triton_error(lambda: client.get_system_shared_memory_status("part of b"))[0] == "NOT_FOUND"
        client.unregister_system_shared_memory()
        assert not client.get_system_shared_memory_status().regions


def test_what_is_wrong_with_a_registration_is_said(client: InferenceServerClient) -> None:
    with region(client, "a", 100) as a:
        wrong = {
            "name: expected 1 to 256 bytes, got 0": ("", a.key, 4, 0),
            "key: expected the name of an object of shared memory": ("b", "/../shm" + a.key, 4, 0),
            "No such file or directory": ("b", a.key + "x", 4, 0),
            "at most the 100 bytes": ("b", a.key, 101, 0),
            "got 0 from 0 on": ("b", a.key, 0, 0),
            "got 1 from 18446744073709551615 on": ("b", a.key, 1, 2**64 - 1),
            "got 18446744073709551615 from 1 on": ("b", a.key, 2**64 - 1, 1),
        }
        for message, (name, key, byte_size, offset) in wrong.items():
            register = partial(client.register_system_shared_memory, name, key, byte_size, offset)
            code, got = triton_error(register)
            assert (code, message in got) == ("INVALID_ARGUMENT", True), got


# --- Tensors ---


def test_inputs_and_outputs_are_the_same_as_in_messages(client: InferenceServerClient) -> None:
    x = numpy.linspace(-1, 1, 128, dtype=numpy.float32).reshape(2, 64)
    expected = client.infer("linear", [triton_input("x", x)]).as_numpy("y")
    with region(client, "in") as source, region(client, "out") as target:
        shared_in = source.input("x", x, offset=512)
        numpy.testing.assert_array_equal(client.infer("linear", [shared_in]).as_numpy("y"), expected)
        for inputs in ([shared_in], [triton_input("x", x)]):
            target.put(numpy.zeros(2048, dtype=numpy.float32))
            answer = client.infer("linear", inputs, outputs=[target.output("y", 1000, offset=16)]).get_response()
            assert list(answer.outputs[0].shape) == [2, 64]
            assert list(answer.raw_output_contents) == [b""]
            assert answer.outputs[0].parameters["shared_memory_byte_size"].int64_param == 2 * ROW
            assert not answer.parameters
            numpy.testing.assert_array_equal(target.get([2, 64], offset=16), expected)
            assert not target.get([1000], offset=16 + 2 * ROW).any(), "no more than the output is written"


def test_a_region_may_be_read_and_written_at_once(client: InferenceServerClient) -> None:
    x = numpy.linspace(-1, 1, 64, dtype=numpy.float32).reshape(1, 64)
    expected = client.infer("linear", [triton_input("x", x)]).as_numpy("y")
    with region(client, "both") as both:
        client.infer("linear", [both.input("x", x)], outputs=[both.output("y", ROW)])
        numpy.testing.assert_array_equal(both.get([1, 64]), expected)


def test_every_type_and_strings_are_shared(client: InferenceServerClient) -> None:
    text = numpy.array([b"", b"\x00\xff", b"x" * 1000], dtype=numpy.object_)
    with region(client, "text") as shared:
        wanted = [shared.output("upper", 2000, offset=2000), *outputs("length")]
        answer = client.infer("strings", [shared.input("text", text, "BYTES")], outputs=wanted)
        assert shared.get([3], numpy.object_, offset=2000).tolist() == [b"", b"\x00\xff", b"X" * 1000]
        assert answer.as_numpy("length").tolist() == [0, 2, 1000]
        bools = triton_input("bool_in", [[True, False, True]], "BOOL")
        numbers = {"int8": "INT8", "fp16": "FP16", "uint64": "UINT64"}
        others = [
            triton_input(f"{name.lower()}_in", [[1, 0, 1]], name)
            for name in "UINT8 UINT16 UINT32 INT16 INT32 INT64 BF16 FP32 FP64".split()
        ]
        some = [
            shared.input(
                f"{name}_in", numpy.array([[1, 0, 1]], dtype={"fp16": "float16"}.get(name, name)), datatype, at
            )
            for at, (name, datatype) in zip((0, 100, 200), numbers.items(), strict=True)
        ]
        answer = client.infer("types", [*others[:4], some[0], *others[4:], *some[1:], bools])
        for name in [*numbers, "bool", "fp32"]:
            assert answer.as_numpy(f"{name}_out").astype(int).tolist() == [[1, 0, 1]], name


def test_what_is_wrong_with_a_place_names_the_parameter(client: InferenceServerClient) -> None:
    x = numpy.ones((1, 64), dtype=numpy.float32)
    with region(client, "a", 300) as a:
        good = a.input("x", x)

        def message_of(tensor: InferInput, **options: Any) -> str:
            code, message = triton_error(lambda: client.infer("linear", [tensor], **options))
            assert code == "INVALID_ARGUMENT"
            return message

        unknown = InferInput("x", [1, 64], "FP32").set_shared_memory("nobody", ROW)
        assert message_of(unknown).startswith('inputs[0].parameters["shared_memory_region"]: expected')
        behind = InferInput("x", [1, 64], "FP32").set_shared_memory("a", ROW, 45)
        assert 'inputs[0].parameters["shared_memory_byte_size"]' in message_of(behind)
        short = InferInput("x", [1, 64], "FP32").set_shared_memory("a", ROW - 4)
        assert message_of(short).startswith("inputs[0].shape: ")
        assert "room for the 256 bytes of y, got 255" in message_of(good, outputs=[a.output("y", 255)])
        nowhere = InferRequestedOutput("y")
        nowhere.set_shared_memory("nobody", ROW)
        assert 'outputs[0].parameters["shared_memory_region"]' in message_of(good, outputs=[nowhere])
        a.resize(100)
        assert "has become smaller" in message_of(good)
        assert "has become smaller" in message_of(triton_input("x", x), outputs=[a.output("y", 256)])
        assert Path("/dev/shm" + a.key).stat().st_size == 100
        a.resize(300)
        assert client.infer("linear", [good]).as_numpy("y").shape == (1, 64)


def test_a_language_model_takes_its_text_in_messages_alone(generators: Path) -> None:
    with PredictdProcess(generators, flags=ON) as server, triton_client(server) as client:
        text = InferInput("text_input", [1], "BYTES").set_shared_memory("nobody", 8)
        code, message = triton_error(lambda: client.infer(TINY_GENERATOR, [text]))
        assert code == "INVALID_ARGUMENT"
        assert "no shared memory" in message


# --- Limits, and what owners do meanwhile ---


def test_a_call_holds_what_it_copies(sharing: PredictdProcess) -> None:
    """More than all calls may hold, asked for with a message of a hundred bytes, is refused before it is copied."""
    size = 40 << 20
    with (
        PredictdProcess(["linear"], flags=[*ON, "--request-memory=32MiB"]) as server,
        triton_client(server) as client,
        region(client, "large", size),
    ):
        before = server.peak_bytes()
        large = InferInput("x", [size // ROW, 64], "FP32").set_shared_memory("large", size)
        code, message = triton_error(lambda: client.infer("linear", [large]))
        assert code == "RESOURCE_EXHAUSTED", message
        assert server.peak_bytes() - before < size // 2
        small = InferInput("x", [1, 64], "FP32").set_shared_memory("large", ROW)
        assert client.infer("linear", [small]).as_numpy("y").shape == (1, 64)


def test_large_inputs_leave_the_loops_free(sharing: PredictdProcess, client: InferenceServerClient) -> None:
    """What takes long to copy is copied on a worker, where it waits for its turn."""
    rows = (8 << 20) // 4
    with region(client, "large", rows * 4) as large:
        request = infer_request("slow")
        large.put(numpy.zeros(rows, dtype=numpy.float32))
        # There are more rows than the model takes, which is found once they are copied.
        request.inputs.add(name="x", datatype="FP32", shape=[rows, 1])
        parameters = request.inputs[0].parameters
        parameters["shared_memory_region"].string_param = "large"
        parameters["shared_memory_byte_size"].int64_param = rows * 4
        # One after the other, or they would be one batch.
        busy = []
        for running in (1, 2):
            busy.append(client.async_infer("slow", [slow_input(3000)], lambda result, error: None))
            sharing.wait_for_metric("predictd_requests_running", running, model="slow")
        waiting = raw_infer(sharing.channel).future(request, timeout=120)  # type: ignore[attr-defined]
        # A loop that copied would have answered by now.
        time.sleep(0.3)
        assert client.is_server_live()
        assert not waiting.done(), "both workers are busy"
        error = rpc_error(waiting.result)
        assert error.details().startswith("inputs[0].shape: expected 1 to 4 rows")
        assert len(busy) == 2


def test_who_runs_keeps_a_region_that_is_unregistered(sharing: PredictdProcess, client: InferenceServerClient) -> None:
    with region(client, "leaving", 4) as leaving:
        request = infer_request("slow", slow_input(1500))
        request.outputs.add(name="y")
        request.outputs[0].parameters["shared_memory_region"].string_param = "leaving"
        request.outputs[0].parameters["shared_memory_byte_size"].int64_param = 4
        running = raw_infer(sharing.channel).future(request, timeout=120)  # type: ignore[attr-defined]
        sharing.wait_for_metric("predictd_requests_running", 1, model="slow")
        client.unregister_system_shared_memory()
        assert list(running.result().raw_output_contents) == [b""]
        assert leaving.get([1]).tolist() == [1500]
        assert server_timing(running)["batch"] == 1


def test_open_files_go_with_their_regions(sharing: PredictdProcess, client: InferenceServerClient) -> None:
    with region(client, "whole", 4096) as whole:

        def opened() -> int:
            found = 0
            for link in Path(f"/proc/{sharing.pid}/fd").iterdir():
                # Others come and go.
                with suppress(FileNotFoundError):
                    found += whole.key in str(link.readlink())
            return found

        for i in range(100):
            client.register_system_shared_memory(str(i), whole.key, 4, 4 * i)
        assert opened() == 101
        client.unregister_system_shared_memory()
        # They are closed in the background.
        eventually(lambda: opened() == 0, 20, "files to be closed")


def test_nothing_that_owners_do_ends_the_server(sharing: PredictdProcess) -> None:
    """They shrink what others use, and take it away. Each call has an answer, or an error that says so."""
    x = numpy.linspace(-1, 1, 64 * 64, dtype=numpy.float32).reshape(64, 64)
    shared = InferInput("x", [64, 64], "FP32").set_shared_memory("victim", x.nbytes)
    over = threading.Event()
    ends: collections.Counter[str] = collections.Counter()

    def use(target: str) -> None:
        wanted = InferRequestedOutput("y")
        wanted.set_shared_memory(target, x.nbytes)
        with triton_client(sharing) as user:
            while not over.is_set():
                try:
                    user.infer("linear", [shared], outputs=[wanted])
                    ends["answered"] += 1
                except InferenceServerException as error:
                    known = ("has become smaller", "a region that is registered")
                    ends[next((part for part in known if part in error.message()), str(error))] += 1

    with (
        triton_client(sharing) as owner,
        region(owner, "target", x.nbytes),
        region(owner, "victim", x.nbytes) as victim,
    ):
        threads = [threading.Thread(target=use, args=(target,)) for target in ("target", "victim")]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while (len(ends) < 3 or min(ends.values()) < 20) and time.monotonic() < deadline:
            for size in (100, x.nbytes):
                victim.resize(size)
                time.sleep(0.002)
            owner.unregister_system_shared_memory("victim")
            time.sleep(0.002)
            owner.register_system_shared_memory("victim", victim.key, x.nbytes)
        over.set()
        for thread in threads:
            thread.join()
        assert ends.keys() == {"answered", "has become smaller", "a region that is registered"}, ends
        victim.put(x)
        expected = owner.infer("linear", [triton_input("x", x)]).as_numpy("y")
        numpy.testing.assert_array_equal(owner.infer("linear", [shared]).as_numpy("y"), expected)
