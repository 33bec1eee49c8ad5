"""Writes models that give back what they are given, one for each datatype, as ONNX files and as models of MLServer: identities.py FOLDER."""
import json
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

TYPES = {
    "BOOL": TensorProto.BOOL, "BYTES": TensorProto.STRING, "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
}
# As MLServer's documentation writes a model of one's own: the input by its name, decoded and encoded by its codecs.
RUNTIME = '''
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse


class Identity(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        codec = StringCodec if self.name == "identity_BYTES" else NumpyCodec
        found = [tensor for tensor in payload.inputs if tensor.name == "x"]
        if not found or len(payload.inputs) != 1:
            raise InferenceError("the model takes one input, `x`")
        output = codec.encode_output("y", codec.decode_input(found[0]))
        output.shape = found[0].shape
        return InferenceResponse(model_name=self.name, model_version=self.version, id=payload.id, outputs=[output])
'''

folder = Path(sys.argv[1])
(folder / "onnx").mkdir(parents=True)
(folder / "mlserver").mkdir()
(folder / "mlserver" / "identity.py").write_text(RUNTIME)
settings = {"debug": False, "host": "127.0.0.1", "http_port": 8096, "grpc_port": 8095, "metrics_endpoint": None, "parallel_workers": 0}
(folder / "mlserver" / "settings.json").write_text(json.dumps(settings))
for name, number in TYPES.items():
    value = lambda at: helper.make_tensor_value_info(at, number, ["rows", 2])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [value("x")], [value("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "onnx" / f"identity_{name}.onnx")
    described = lambda at: [{"name": at, "datatype": name, "shape": [-1, 2]}]
    own = folder / "mlserver" / f"identity_{name}"
    own.mkdir()
    card = {"name": f"identity_{name}", "implementation": "identity.Identity", "inputs": described("x"), "outputs": described("y")}
    (own / "model-settings.json").write_text(json.dumps(card))
