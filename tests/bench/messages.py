"""Messages of predictd.v1 for Python, made from the .proto files at run time: no generated code to keep in step."""

import subprocess
import sysconfig
from pathlib import Path

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.failure import BenchFailure

PREDICT = "/predictd.v1.PredictionService/Predict"
MODEL = "linear"
WIDTH = 64
# Name, dtype as model.toml spells it, and values.
NamedTensor = tuple[str, str, np.ndarray]


class PredictMessages:
    """Builds requests for the `linear` test model (x FP32 [-1, 64] to y FP32 [-1, 64]) and reads its answers."""

    def __init__(self, root: Path, folder: Path) -> None:
        descriptors = folder / "predictd.binpb"
        command = ["protoc", f"-I{root / 'proto'}", f"-I{sysconfig.get_paths()['purelib']}", "--include_imports"]
        command += [f"--descriptor_set_out={descriptors}", "predictd/v1/prediction_service.proto"]
        if subprocess.run(command).returncode != 0:
            raise BenchFailure("protoc failed (see above)")
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
            pool.Add(file)
        self._dtypes = pool.FindEnumTypeByName("predictd.v1.DataType").values_by_name
        self._fp32 = self._dtypes["DATA_TYPE_FP32"].number
        self.request_class = message_factory.GetMessageClass(pool.FindMessageTypeByName("predictd.v1.PredictRequest"))
        self.response_class = message_factory.GetMessageClass(pool.FindMessageTypeByName("predictd.v1.PredictResponse"))

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

    def answer(self, data: bytes) -> np.ndarray:
        """The row in an answer. Raises when anything else about it is not as it must be."""
        message = self.response_class.FromString(data)
        found = (message.model_name, [(y.name, y.dtype, list(y.shape), len(y.raw)) for y in message.outputs])
        expected = (MODEL, [("y", self._fp32, [1, WIDTH], 4 * WIDTH)])
        if found != expected:
            raise BenchFailure(f"an answer was {found}, not {expected}")
        return np.frombuffer(message.outputs[0].raw, "<f4")
