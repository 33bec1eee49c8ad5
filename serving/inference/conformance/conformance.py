"""Holds any server of the Open Inference Protocol 2 against what its clients rely on, by Triton's public Python clients.

The server must have models that give back what they are given: `identity_FP32` and so on for each name of SAMPLES, with one
input `x` and one output `y`, both of shape [-1, 2]. What a server may leave out by the protocol is told as absent, not as failed.

    conformance.py --http 127.0.0.1:8080 [--grpc 127.0.0.1:8081] [--header "authorization: Bearer KEY"] [--json]

Prints a line for each case and exits with 1 where one failed. Authentication, rates and the words of errors are each server's own.
"""
import argparse
import json
import sys
import time

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

SAMPLES = {
    "BOOL": np.array([[True, False], [False, True]]),
    "FP16": np.array([[1.5, -0.25], [65504, 6e-8]], dtype=np.float16),
    "FP32": np.array([[1.5, -0.0], [3.4e38, 1e-45]], dtype=np.float32),
    "FP64": np.array([[1.5, 0.1], [1.7e308, 5e-324]], dtype=np.float64),
    "BYTES": np.array([[b"red", "blauwgrün".encode()], [b"", "قميص".encode()]], dtype=np.object_),
}
for bits in (8, 16, 32, 64):
    for kind, word in (("int", "INT"), ("uint", "UINT")):
        limits = np.iinfo(f"{kind}{bits}")
        SAMPLES[f"{word}{bits}"] = np.array([[limits.min, limits.max], [1, 2]], dtype=f"{kind}{bits}")


class Absent(Exception):
    """The protocol lets a server leave this out, and it does."""


def equal(one, other):
    """Whether two arrays are equal, byte for byte; strings of JSON come as text."""
    if one.dtype == np.object_:
        raw = [value.encode() if isinstance(value, str) else value for value in one.ravel()]
        return one.shape == other.shape and raw == list(other.ravel())
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


class Side:
    """One of the two clients, with what differs between them."""

    def __init__(self, module, url, name, headers):
        self.name, self.module, self.url, self.headers = name, module, url, headers
        self.client = module.InferenceServerClient(url)
        self.json = name == "http"
        self.binary = True

    def learn_extensions(self):
        """Whether the server says that it takes tensors as bytes behind the JSON; where not, JSON is all that is asked of it."""
        extensions = self.field(self.client.get_server_metadata(headers=self.headers), "extensions") or []
        self.binary = not self.json or "binary_tensor_data" in extensions

    def input(self, name, array, datatype=None, binary=None):
        binary = self.binary if binary is None else binary
        tensor = self.module.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
        if self.json:
            tensor.set_data_from_numpy(array, binary_data=binary)
        else:
            tensor.set_data_from_numpy(array)
        return tensor

    def output(self, name, binary=None):
        binary = self.binary if binary is None else binary
        return self.module.InferRequestedOutput(name, binary_data=binary) if self.json else self.module.InferRequestedOutput(name)

    def infer(self, model, inputs, **named):
        named["headers"] = dict(named.get("headers", self.headers))  # the client writes into it
        if not self.binary:
            named.setdefault("outputs", [self.output("y")])  # the client asks for bytes where no output is named
        return self.client.infer(model, inputs, **named)

    def status(self, http_status, grpc_status):
        return str(http_status) if self.json else f"StatusCode.{grpc_status}"

    def field(self, answer, name):
        """A field of an answer that is a dictionary here and a message there."""
        return answer.get(name) if isinstance(answer, dict) else getattr(answer, name)


def refused(side, http_status, grpc_status, call, *arguments, **named):
    """Fails where a call succeeds, or fails with another status."""
    try:
        call(*arguments, **named)
    except InferenceServerException as error:
        wanted = side.status(http_status, grpc_status)
        assert str(error.status()) == wanted, f"status {error.status()} where {wanted} is right: {error.message()}"
        assert error.message(), "no words say what was wrong"
    else:
        raise AssertionError("nothing was refused")


def health(side):
    assert side.client.is_server_live() and side.client.is_server_ready()


def server_metadata(side):
    told = side.client.get_server_metadata(headers=side.headers)
    assert side.field(told, "name") and side.field(told, "version") is not None and side.field(told, "extensions") is not None


def model_metadata(side):
    for name in SAMPLES:
        told = side.client.get_model_metadata(f"identity_{name}", headers=side.headers)
        (taken,), (given,) = side.field(told, "inputs"), side.field(told, "outputs")
        assert (side.field(taken, "name"), side.field(taken, "datatype")) == ("x", name), told
        assert [int(n) for n in side.field(taken, "shape")] == [-1, 2] and side.field(given, "datatype") == name, told
        assert side.field(told, "name") == f"identity_{name}"


def model_ready(side):
    assert side.client.is_model_ready("identity_FP32", headers=side.headers)
    assert not side.client.is_model_ready("absent", headers=side.headers)


def datatype(name, binary_in, binary_out):
    def case(side):
        sample = SAMPLES[name]
        if not side.binary and (binary_in or binary_out):
            raise Absent("the server does not say that it takes tensors as bytes")
        if side.json and name == "FP16" and not binary_in:
            raise Absent("the client itself refuses FP16 in JSON")
        named = {"outputs": [side.output("y", binary_out)], "request_id": "sent-7"}
        answer = side.infer(f"identity_{name}", [side.input("x", sample, binary=binary_in)], **named)
        found, told = answer.as_numpy("y"), answer.get_response()
        assert found is not None and equal(found, sample), f"{found!r} is not {sample!r}"
        assert side.field(told, "id") == "sent-7", f"the id came back as {side.field(told, 'id')!r}"
        assert side.field(told, "model_name") == f"identity_{name}"

    case.__name__ = f"{name} {'bytes' if binary_in else 'JSON'} in, {'bytes' if binary_out else 'JSON'} out"
    return case


def all_outputs_where_none_is_named(side):
    answer = side.infer("identity_FP32", [side.input("x", SAMPLES["FP32"])])
    assert equal(answer.as_numpy("y"), SAMPLES["FP32"])


def rows_of_any_number(side):
    for count in (1, 2, 17):
        rows = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
        assert equal(side.infer("identity_FP32", [side.input("x", rows)]).as_numpy("y"), rows)


def interleaved_requests_do_not_mix(side):
    """Forty requests under way at once: each gets its own rows, whatever the server runs together."""
    sent = [np.full((1 + number % 3, 2), number, np.float32) for number in range(40)]
    if side.json:
        client = side.module.InferenceServerClient(side.url, concurrency=8)
        outputs = None if side.binary else [side.output("y")]
        waiting = [client.async_infer("identity_FP32", [side.input("x", rows)], outputs=outputs, headers=dict(side.headers)) for rows in sent]
        answers = [one.get_result() for one in waiting]
    else:
        found = {}

        def keep(number):
            return lambda result, error: found.__setitem__(number, (result, error))

        for number, rows in enumerate(sent):
            side.client.async_infer("identity_FP32", [side.input("x", rows)], keep(number), headers=dict(side.headers))
        for _ in range(1_000):
            if len(found) == len(sent):
                break
            time.sleep(0.01)
        assert len(found) == len(sent), f"{len(found)} of {len(sent)} were answered"
        assert all(error is None for _, error in found.values()), [error for _, error in found.values() if error][0]
        answers = [found[number][0] for number in range(len(sent))]
    for rows, answer in zip(sent, answers):
        assert equal(answer.as_numpy("y"), rows)


def refusal(name, http_status, grpc_status, ask):
    def case(side):
        refused(side, http_status, grpc_status, lambda: ask(side))
        # Whoever comes next is answered.
        all_outputs_where_none_is_named(side)

    case.__name__ = f"refuses {name}"
    return case


def good(side):
    return side.input("x", SAMPLES["FP32"])


REFUSALS = [
    refusal("a model that is not there", 404, "NOT_FOUND", lambda side: side.infer("absent", [good(side)])),
    refusal("a version that is not there", 404, "NOT_FOUND", lambda side: side.infer("identity_FP32", [good(side)], model_version="999999")),
    refusal("metadata of a model that is not there", 404, "NOT_FOUND", lambda side: side.client.get_model_metadata("absent", headers=side.headers)),
    refusal("a missing input", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [side.input("z", SAMPLES["FP32"])])),
    refusal("an input too many", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [good(side), side.input("z", SAMPLES["FP32"])])),
    refusal("another datatype", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [side.input("x", SAMPLES["FP64"])])),
    refusal("another width", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [side.input("x", np.zeros((1, 3), np.float32))])),
    refusal("another number of dimensions", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [side.input("x", np.zeros(2, np.float32))])),
    refusal("an output that is not there", 400, "INVALID_ARGUMENT", lambda side: side.infer("identity_FP32", [good(side)], outputs=[side.output("w")])),
]


def optional(name, ask):
    """An extension: absent where the server says that it does not know the call."""

    def case(side):
        try:
            ask(side)
        except InferenceServerException as error:
            if str(error.status()) in ("404", "405", "501", "StatusCode.UNIMPLEMENTED"):
                raise Absent(error.message()[:80]) from None
            raise

    case.__name__ = name
    return case


def index_has_the_models(side):
    told = side.client.get_model_repository_index(headers=side.headers)
    names = {side.field(model, "name") for model in (told if side.json else told.models)}
    assert names >= {f"identity_{name}" for name in SAMPLES}, names


def unload_and_load(side):
    side.client.unload_model("identity_INT8", headers=side.headers)
    assert not side.client.is_model_ready("identity_INT8", headers=side.headers)
    side.client.load_model("identity_INT8", headers=side.headers)
    assert side.client.is_model_ready("identity_INT8", headers=side.headers)


def statistics_count(side):
    def count():
        told = side.client.get_inference_statistics("identity_INT16", headers=side.headers)
        return sum(int(side.field(model, "inference_count") or 0) for model in side.field(told, "model_stats"))

    before = count()
    side.infer("identity_INT16", [side.input("x", SAMPLES["INT16"])])
    assert count() > before


def model_config(side):
    told = side.client.get_model_config("identity_FP32", headers=side.headers)
    told = told if side.json else told.config
    assert side.field(told, "name") == "identity_FP32" and side.field(told, "input")


def stream(side):
    if side.json:
        raise Absent("streams are of gRPC")
    answers = []
    side.client.start_stream(lambda result, error: answers.append((result, error)), headers=side.headers)
    for number in range(20):
        side.client.async_stream_infer("identity_FP32", [side.input("x", np.full((1, 2), number, np.float32))], request_id=str(number))
    side.client.stop_stream()
    errors = [error for _, error in answers if error is not None]
    if errors:
        raise errors[0]
    assert [result.get_response().id for result, _ in answers] == [str(number) for number in range(20)]


def cases():
    every = [datatype(name, binary_in, binary_out) for name in SAMPLES for binary_in in (True, False) for binary_out in (True, False)]
    plain = [health, server_metadata, model_ready, model_metadata, *every, all_outputs_where_none_is_named, rows_of_any_number, interleaved_requests_do_not_mix, *REFUSALS]
    extensions = [("repository index", index_has_the_models), ("repository unload and load", unload_and_load), ("statistics", statistics_count), ("model configuration", model_config), ("streams", stream)]
    return plain + [optional(name, ask) for name, ask in extensions]


def check(side):
    """What became of each case on one side: `passed`, `absent: why` or `failed: why`."""
    found = {}
    side.learn_extensions()
    for case in cases():
        if not side.json and case.__name__.endswith("JSON out") or not side.json and "JSON in" in case.__name__:
            continue  # gRPC has one form
        try:
            case(side)
            found[case.__name__] = "passed"
        except Absent as absent:
            found[case.__name__] = f"absent: {absent}"
        except Exception as failure:  # whatever the client raises at an answer is the server's failure
            found[case.__name__] = f"failed: {str(failure)[:200] or type(failure).__name__}"
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http", metavar="HOST:PORT")
    parser.add_argument("--grpc", metavar="HOST:PORT")
    parser.add_argument("--header", default="", metavar="NAME: VALUE")
    parser.add_argument("--json", action="store_true", help="the whole as one JSON object")
    arguments = parser.parse_args()
    name, _, value = arguments.header.partition(":")
    headers = {name.strip().lower(): value.strip()} if name else {}
    found = {}
    for word, module, url in (("http", http, arguments.http), ("grpc", grpc, arguments.grpc)):
        if url:
            found[word] = check(Side(module, url, word, headers))
    if not found:
        parser.error("give --http, --grpc or both")
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for word, results in found.items():
            for case, result in results.items():
                print(f"{word}: {case}: {result}")
            words = [result.split(":")[0] for result in results.values()]
            print(f"{word}: {words.count('passed')} passed, {words.count('failed')} failed, {words.count('absent')} absent")
    sys.exit(any(result.startswith("failed") for results in found.values() for result in results.values()))


if __name__ == "__main__":
    main()
