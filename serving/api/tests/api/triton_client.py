"""Runs Triton's public Python clients, HTTP and gRPC, over models that give back what they are given; fails where one differs."""
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "inference" / "conformance"))
from conformance import SAMPLES, Side, check, equal

http_url, grpc_url, key, other_key = sys.argv[1:]
KEY = {"authorization": f"Bearer {key}"}
WEAK = {"authorization": f"Bearer {other_key}"}

def fails(words, call, *arguments, status=None, **named):
    try:
        call(*arguments, **named)
    except InferenceServerException as error:
        assert words in error.message(), (words, error.message())
        assert status is None or error.status() == status, (status, error.status())
    else:
        raise AssertionError(f"{words}: nothing was refused")


def server(side):
    client, field = side.client, side.field
    assert client.is_server_live() and client.is_server_ready()
    told = client.get_server_metadata(headers=KEY)
    assert field(told, "name") == "dhow" and "binary_tensor_data" in field(told, "extensions")


def repository(side):
    client, field = side.client, side.field
    index = client.get_model_repository_index(headers=KEY)
    models = {field(model, "name"): model for model in (index if side.json else index.models)}
    assert set(models) >= {f"identity_{name}" for name in SAMPLES} | {"trees", "custom.champion"}, set(models)
    assert field(models["trees"], "state") == "UNAVAILABLE"
    for model in models:
        client.load_model(model, headers=KEY)
        assert client.is_model_ready(model, headers=KEY)
    index = client.get_model_repository_index(headers=KEY)
    states = {field(model, "state") for model in (index if side.json else index.models)}
    assert states == {"READY", "UNAVAILABLE"}, "older versions of `linear` are not loaded"
    client.unload_model("trees", headers=KEY)
    assert not client.is_model_ready("trees", headers=KEY)
    fails("not loaded", client.unload_model, "trees", headers=KEY, status=side.status(404, "NOT_FOUND"))
    client.load_model("trees", headers=KEY)
    fails("no model `absent`", client.load_model, "absent", headers=KEY, status=side.status(404, "NOT_FOUND"))
    fails("parameter `config`", client.load_model, "trees", headers=KEY, config="{}", status=side.status(501, "UNIMPLEMENTED"))
    fails("is not supported", client.load_model, "trees", headers=KEY, config="{}", files={"file:1/model.onnx": b"x"})


def descriptions(side):
    client, field = side.client, side.field
    for name, sample in SAMPLES.items():
        model = f"identity_{name}"
        told = client.get_model_metadata(model, headers=KEY)
        (taken,), (given,) = field(told, "inputs"), field(told, "outputs")
        assert (field(taken, "name"), field(taken, "datatype"), [int(n) for n in field(taken, "shape")]) == ("x", name, [-1, 2])
        assert field(given, "datatype") == name
        (version,) = field(told, "versions")
        assert client.is_model_ready(model, version, headers=KEY)
        config = client.get_model_config(model, headers=KEY)
        config = config if side.json else config.config
        (taken,) = field(config, "input")
        assert field(config, "max_batch_size") > 1, config
        assert [int(n) for n in field(taken, "dims")] == [2]
        word = "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}"
        found = field(taken, "data_type")
        assert (found if side.json else grpc.model_config_pb2.DataType.Name(found)) == word
    for call in (client.get_model_metadata, client.get_model_config, client.get_inference_statistics):
        fails("not loaded", call, "absent", headers=KEY, status=side.status(404, "NOT_FOUND"))
        fails("is not loaded", call, "trees", "mdl_x", headers=KEY, status=side.status(404, "NOT_FOUND"))


def conformance(side):
    """The suite for any server: nothing fails, and nothing but streams over HTTP is absent."""
    found = check(side)
    wrong = {case: result for case, result in found.items() if result.startswith("failed")}
    assert not wrong, wrong
    absent = [case for case, result in found.items() if result.startswith("absent")]
    assert all(case == "streams" or case.startswith("FP16 JSON in") for case in absent), absent
    told = side.infer("identity_FP32", [side.input("x", SAMPLES["FP32"])]).get_response()
    assert side.field(told, "model_version").startswith("mdl_")


def trees(side):
    rows = np.full((3, 4), 0.5)
    rows[1, 2] = np.nan
    answer = side.infer("trees", [side.input("features", rows)], outputs=[side.output("margin"), side.output("prediction")])
    margins, predictions = answer.as_numpy("margin"), answer.as_numpy("prediction")
    assert margins.shape == (3,) and np.allclose(predictions, 1 / (1 + np.exp(-margins)), rtol=1e-12)
    for row in range(3):
        alone = side.infer("trees", [side.input("features", rows[row : row + 1])]).as_numpy("margin")
        assert alone.tobytes() == margins[row : row + 1].tobytes()


def statistics(side):
    client, field = side.client, side.field
    figures = client.get_inference_statistics("identity_FP32", headers=KEY)
    (of_model,) = field(figures, "model_stats")
    assert int(field(of_model, "inference_count")) >= 2 and int(field(of_model, "execution_count")) >= 1
    success = field(field(of_model, "inference_stats"), "success")
    assert int(field(success, "count")) >= 1 and int(field(of_model, "last_inference")) > 0
    everything = client.get_inference_statistics(headers=KEY)
    assert len(field(everything, "model_stats")) >= len(SAMPLES) + 1


def refusals(side):
    client = side.client
    invalid = side.status(400, "INVALID_ARGUMENT")
    sample = SAMPLES["FP32"]

    def refused(words, inputs, status=invalid, model="identity_FP32", **named):
        fails(words, side.infer, model, inputs, status=status, **named)

    good = side.input("x", sample)
    refused("inputs were given", [good, side.input("z", sample)])
    refused("is missing", [side.input("z", sample)])
    refused("another datatype", [side.input("x", SAMPLES["FP64"])])
    refused("another length", [side.input("x", np.zeros((1, 3), np.float32))])
    refused("number of dimensions", [side.input("x", np.zeros(2, np.float32))])
    refused("length 0", [side.input("x", np.zeros((0, 2), np.float32))]) if side.json else None
    refused("is no output", [good], outputs=[side.output("w")])
    refused("named twice", [good], outputs=[side.output("y"), side.output("y")])
    halves = side.module.InferInput("x", [1, 2], "BF16")
    halves.set_data_from_numpy(np.array([[1.0, 2.0]], dtype=ml_dtypes.bfloat16))
    refused("no model here takes BF16", [halves])
    refused("not UTF-8", [side.input("x", np.array([[b"\xff", b"a"]], dtype=np.object_))], model="identity_BYTES")
    refused("keeps state", [good], status=side.status(501, "UNIMPLEMENTED"), sequence_id=7, sequence_start=True)
    shared = side.module.InferInput("x", [1, 2], "FP32")
    shared.set_shared_memory("region", 8)
    refused("shared_memory", [shared], status=side.status(501, "UNIMPLEMENTED"))
    classes = side.module.InferRequestedOutput("y", class_count=2)
    refused("classification", [good], status=side.status(501, "UNIMPLEMENTED"), outputs=[classes])
    refused("not loaded", [good], status=side.status(404, "NOT_FOUND"), model="absent")
    refused("not loaded", [good], status=side.status(404, "NOT_FOUND"), model_version="mdl_x")
    refused("API key", [good], status=side.status(401, "UNAUTHENTICATED"), headers={})
    refused("unknown or revoked", [good], status=side.status(401, "UNAUTHENTICATED"), headers={"authorization": "Bearer dhow_x"})
    refused("does not grant `models:infer`", [good], status=side.status(403, "PERMISSION_DENIED"), headers=WEAK)
    fails("does not grant `models:write`", client.load_model, "trees", headers=WEAK, status=side.status(403, "PERMISSION_DENIED"))
    fails("does not grant `models:write`", client.unload_model, "trees", headers=WEAK, status=side.status(403, "PERMISSION_DENIED"))
    assert client.get_server_metadata(headers=WEAK)
    assert equal(side.infer("identity_FP32", [good], timeout=5_000_000).as_numpy("y"), sample), "a time in which it is answered"


def http_forms(side):
    """What only the HTTP form has: values and bytes that are no such thing, compression."""
    sample = SAMPLES["FP32"]
    cut = side.input("x", sample)
    cut._raw_data = cut._raw_data[:-1]
    fails("bytes are left behind", side.infer, "identity_FP32", [cut], status="400")
    cut._parameters["binary_data_size"] -= 1
    fails("whole elements", side.infer, "identity_FP32", [cut], status="400")
    endless = side.input("x", np.full((1, 2), np.inf, np.float32))
    fails("JSON lacks", side.infer, "identity_FP32", [endless], outputs=[side.output("y", False)], status="400")
    assert np.isinf(side.infer("identity_FP32", [endless]).as_numpy("y")).all()
    fails("compressed", side.infer, "identity_FP32", [side.input("x", sample)], request_compression_algorithm="gzip", status="415")
    fails("no `/v2/trace/setting`", side.client.get_trace_settings, headers=KEY, status="404")
    fails("no `/v2/systemsharedmemory/status`", side.client.get_system_shared_memory_status, headers=KEY, status="404")


def grpc_forms(side):
    """What only the gRPC form has: streams, calls that are not supported."""
    answers = []
    side.client.start_stream(lambda result, error: answers.append((result, error)), headers=KEY)
    for number in range(20):
        model = "absent" if number == 7 else "identity_FP32"
        rows = np.full((1, 2), number, np.float32)
        side.client.async_stream_infer(model, [side.input("x", rows)], request_id=str(number))
    side.client.stop_stream()
    assert len(answers) == 20
    for number, (result, error) in enumerate(answers):
        if number == 7:
            assert "not loaded" in error.message()
        else:
            assert result.get_response().id == str(number) and (result.as_numpy("y") == number).all()
    fails("TraceSetting", side.client.get_trace_settings, headers=KEY, status="StatusCode.UNIMPLEMENTED")
    fails("SystemSharedMemoryStatus", side.client.get_system_shared_memory_status, headers=KEY, status="StatusCode.UNIMPLEMENTED")


for side in (Side(http, http_url, "http", KEY), Side(grpc, grpc_url, "grpc", KEY)):
    cases = [server, repository, descriptions, conformance, trees, statistics, refusals]
    for case in cases + [http_forms if side.json else grpc_forms]:
        case(side)
        print(side.name, case.__name__, "passed")
    for model in [f"identity_{name}" for name in SAMPLES] + ["trees", "linear", "custom.champion"]:
        side.client.unload_model(model, headers=KEY)
