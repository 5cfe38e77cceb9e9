"""Messages of both protocols for Python, made from the .proto files at run time: no generated code to keep in step."""

import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.harness.failure import BenchFailure

PREDICT = "/predictd.v1.PredictionService/Predict"
PREDICT_STREAM = "/predictd.v1.PredictionService/PredictStream"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
MODEL = "linear"
WIDTH = 64
# Name, dtype as model.toml spells it, and values.
NamedTensor = tuple[str, str, np.ndarray]


def load_protocol(root: Path, folder: Path, file: str) -> descriptor_pool.DescriptorPool:
    """What one of the protocol's files declares. A file of `folder` has the descriptors."""
    descriptors = folder / f"{Path(file).stem}.binpb"
    command = ["protoc", f"-I{root / 'proto'}", f"-I{sysconfig.get_paths()['purelib']}", "--include_imports"]
    command += [f"--descriptor_set_out={descriptors}", file]
    if subprocess.run(command, check=False).returncode != 0:
        raise BenchFailure("protoc failed (see above)")
    pool = descriptor_pool.DescriptorPool()
    for declared in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(declared)
    return pool


class InferMessages:
    """What PredictMessages is for Predict, for the Open Inference Protocol's ModelInfer: the same row, raw."""

    path = MODEL_INFER

    def __init__(self, root: Path, folder: Path) -> None:
        pool = load_protocol(root, folder, "inference/grpc_service.proto")

        def message(name: str) -> Any:
            return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}"))

        self._request, self._response = message("ModelInferRequest"), message("ModelInferResponse")

    def request(self, row: np.ndarray) -> bytes:
        message = self._request(model_name=MODEL, raw_input_contents=[row.astype("<f4").tobytes()])
        message.inputs.add(name="x", datatype="FP32", shape=[1, WIDTH])
        return message.SerializeToString()

    def answer(self, data: bytes) -> np.ndarray:
        """The row in an answer. Raises when anything else about it is not as it must be."""
        message = self._response.FromString(data)
        outputs = [(y.name, y.datatype, list(y.shape)) for y in message.outputs]
        found = (message.model_name, outputs, [len(raw) for raw in message.raw_output_contents])
        expected = (MODEL, [("y", "FP32", [1, WIDTH])], [4 * WIDTH])
        if found != expected:
            raise BenchFailure(f"an answer was {found}, not {expected}")
        return np.frombuffer(message.raw_output_contents[0], "<f4")


class PredictMessages:
    """Builds requests for the `linear` test model (x FP32 [-1, 64] to y FP32 [-1, 64]) and reads its answers."""

    path = PREDICT

    def __init__(self, root: Path, folder: Path) -> None:
        pool = load_protocol(root, folder, "predictd/v1/prediction_service.proto")
        self._dtypes = pool.FindEnumTypeByName("predictd.v1.DataType").values_by_name
        self._fp32 = self._dtypes["DATA_TYPE_FP32"].number

        def message(name: str) -> Any:
            return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"predictd.v1.{name}"))

        self.request_class, self.response_class = message("PredictRequest"), message("PredictResponse")
        self._stream_request, self._stream_response = message("PredictStreamRequest"), message("PredictStreamResponse")

    def request(self, row: np.ndarray) -> bytes:
        message = self.request_class(model_name=MODEL)
        message.inputs.add(name="x", dtype=self._fp32, shape=[1, WIDTH], raw=row.astype("<f4").tobytes())
        return message.SerializeToString()

    def call(self, model: str, sent: NamedTensor, answered: NamedTensor) -> tuple[bytes, bytes]:
        """A request of any model of one input, for one output, and the answer that it should get."""
        request = self.request_class(model_name=model, outputs=[answered[0]])
        response = self.response_class(model_name=model, model_version=1)
        for tensors, (name, dtype, values) in ((request.inputs, sent), (response.outputs, answered)):
            number = self._dtypes[f"DATA_TYPE_{dtype}"].number
            tensors.add(name=name, dtype=number, shape=values.shape, raw=values.tobytes())
        return request.SerializeToString(), response.SerializeToString()

    def stream_request(self, rows: np.ndarray, chunk_rows: int) -> bytes:
        message = self._stream_request(chunk_rows=chunk_rows)
        message.predict.model_name = MODEL
        message.predict.inputs.add(name="x", dtype=self._fp32, shape=rows.shape, raw=rows.astype("<f4").tobytes())
        return message.SerializeToString()

    def stream_rows(self, request: bytes) -> np.ndarray:
        """The rows that a request of `stream_request` holds."""
        return np.frombuffer(self._stream_request.FromString(request).predict.inputs[0].raw, "<f4").reshape(-1, WIDTH)

    def stream_answers(self, rows: np.ndarray) -> list[bytes]:
        """The messages of a stream that answers with these rows, one by one."""
        start, summary = self._stream_response(), self._stream_response()
        start.start.model_name, start.start.model_version = MODEL, 1
        start.start.total_rows = start.start.total_chunks = len(rows)
        answers = [start]
        for index, row in enumerate(rows):
            answers.append(self._stream_response())
            result = answers[-1].rows
            result.first_row, result.row_count = index, 1
            result.outputs.add(name="y", dtype=self._fp32, shape=[1, WIDTH], raw=row.astype("<f4").tobytes())
        summary.summary.rows_ok = len(rows)
        return [answer.SerializeToString() for answer in [*answers, summary]]

    def stream_answer(self, answers: list[bytes]) -> np.ndarray:
        """The rows of a stream with a message for each. Raises when it is not complete, in order, and only that."""
        first, *rows, last = (self._stream_response.FromString(data) for data in answers)
        count = len(rows)
        start = (first.start.model_name, first.start.total_rows, first.start.total_chunks)
        if start != (MODEL, count, count) or (last.summary.rows_ok, last.summary.rows_failed) != (count, 0):
            raise BenchFailure(f"a stream of {count} rows began with {first} and ended with {last}")
        for index, message in enumerate(rows):
            found = (message.rows.first_row, [(y.name, y.dtype, list(y.shape)) for y in message.rows.outputs])
            if found != (index, [("y", self._fp32, [1, WIDTH])]):
                raise BenchFailure(f"row {index} of a stream was {found}")
        return np.array([np.frombuffer(message.rows.outputs[0].raw, "<f4") for message in rows])

    def answer(self, data: bytes) -> np.ndarray:
        """The row in an answer. Raises when anything else about it is not as it must be."""
        message = self.response_class.FromString(data)
        found = (message.model_name, [(y.name, y.dtype, list(y.shape), len(y.raw)) for y in message.outputs])
        expected = (MODEL, [("y", self._fp32, [1, WIDTH], 4 * WIDTH)])
        if found != expected:
            raise BenchFailure(f"an answer was {found}, not {expected}")
        return np.frombuffer(message.outputs[0].raw, "<f4")
