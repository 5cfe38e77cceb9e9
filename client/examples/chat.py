"""Asks a generator, and prints its answer as it comes. Needs `pip install grpcio grpcio-reflection`.

For example:

    python client/examples/chat.py localhost:8500 smollm2 "Why is the sky blue?"
"""

import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

address, model, question = sys.argv[1:]
generation = {"chat": {"messages": [{"role": "user", "content": question}]}, "max_tokens": 200, "temperature": 0}
with grpc.insecure_channel(address) as channel:
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName("predictd.v1.PredictionService").FindMethodByName("PredictStream")
    Request, Event = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    path = "/predictd.v1.PredictionService/PredictStream"
    ask = channel.unary_stream(path, Request.SerializeToString, Event.FromString)
    request = json_format.ParseDict({"predict": {"model_name": model, "generation": generation}}, Request())
    for event in ask(request, timeout=60):
        print(event.delta.text, end="", flush=True)
print()
