"""The gRPC client of KServe's SDK, without what its other parts need.

Importing `kserve` as a whole imports its server and its client of Kubernetes, too, with dozens of packages that
scripts/setup does not install. So only the client's own modules are imported. Packages that these import for its HTTP
client, its server or data frames are replaced by empty ones; what sends and reads messages is the real thing. Its
messages have the names of tritonclient's, so they are in a pool of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from unittest.mock import patch

from google.protobuf import descriptor_pool

# What the gRPC client imports and does not use.
UNUSED = {"cloudevents", "fastapi", "httpx", "orjson", "pandas", "psutil"}


class _Empty(ModuleType):
    """A package in which every name is that of an empty class."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (), {}))
        return getattr(self, name)


class _EmptyPackages:
    """Finds and makes them; comes last, so that what is installed is found before."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name.partition(".")[0] in UNUSED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def _parts_of_kserve() -> Iterator[None]:
    """Lets modules of kserve be imported without the whole. Others find no empty packages later."""
    spec = PathFinder.find_spec("kserve")
    assert spec is not None, "kserve is missing: scripts/setup installs it"
    # Its own code is not run.
    spec.loader = None
    sys.modules["kserve"] = module_from_spec(spec)
    finder = _EmptyPackages()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Empty)]:
            del sys.modules[name]


with _parts_of_kserve(), patch.object(descriptor_pool, "Default", return_value=descriptor_pool.DescriptorPool()):
    from kserve.inference_client import InferenceGRPCClient
    from kserve.protocol.grpc.grpc_predict_v2_pb2 import DESCRIPTOR
    from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, RequestedOutput

__all__ = ["DESCRIPTOR", "InferInput", "InferOutput", "InferRequest", "InferenceGRPCClient", "RequestedOutput"]
