"""Damaged gRPC calls against a real port: messages inside good frames, and frames themselves.

Promised is no status that blames the server but UNAVAILABLE and DEADLINE_EXCEEDED, no hang, and a right answer to the next
good call.
"""

import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

from fuzz.http_fuzz import CHECK_EVERY, PATIENCE_SECONDS, Finding
from fuzz.mutations import Mutation, cut, delete_piece, flip_bits, insert_noise, repeat_piece
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.framing import framed
from podium_serving.rpc.http2.frames import ACK, HEAD_BYTES, PREFACE, Flag, Kind, frame, parse_head, settings

PATH = "/inference.GRPCInferenceService/ModelInfer"
STREAM_PATH = "/inference.GRPCInferenceService/ModelStreamInfer"
ALLOWED = {0, 3, 4, 5, 8, 12, 14}
"""OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE."""
_FRAMES_SHARE = 0.3
"""Of the damage hits frames, on a connection of its own."""
_CALLS_OF_A_CONNECTION = 5000
_MUTATIONS: Sequence[Mutation] = (flip_bits, cut, delete_piece, repeat_piece, insert_noise)
_INTEGERS = (0, 1, -1, 2, 127, 128, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63))


@dataclass
class Counts:
    sent: int = 0
    good: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        by_status = ", ".join(f"{status}: {number}" for status, number in sorted(self.statuses.items()))
        return f"{self.sent} damaged calls ({by_status}), {self.good} good ones between them answered right"


def run(address: tuple[str, int], first_seed: int, count: int) -> Counts:
    """Sends `count` damaged calls, and good ones on a connection that lives all the while."""
    counts = Counts()
    with Client(address) as steady:
        damaged = Client(address)
        for seed in range(first_seed, first_seed + count):
            chance = random.Random(seed)
            if chance.random() < _FRAMES_SHARE:
                _send_frames(address, seed, chance, counts)
            else:
                damaged = damaged.fresh(_CALLS_OF_A_CONNECTION)
                _send_message(damaged, seed, chance, counts)
            counts.sent += 1
            if counts.sent % CHECK_EVERY == 0:
                _check_good(steady, seed, counts)
        damaged.close()
    return counts


class Client:
    """A blocking connection that makes one call at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.socket = socket.create_connection(address, PATIENCE_SECONDS)
        self.encoder = Encoder()
        self._decoder = Decoder()
        self._stream = -1
        self.socket.sendall(PREFACE + settings({}))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def fresh(self, calls: int) -> "Client":
        """This one, or another once it has made so many calls."""
        if self._stream < calls * 2:
            return self
        self.close()
        return Client(self.address)

    def call(self, content: bytes, path: str = PATH) -> tuple[dict[str, str], bytes]:
        """Headers, trailers and content of the answer to a call whose DATA is `content`."""
        self._stream += 2
        self.socket.sendall(call_bytes(self.encoder, self._stream, path, content))
        fields: dict[str, str] = {}
        answer = b""
        while True:
            kind, flags, stream, payload = self._next()
            if kind == Kind.GOAWAY:
                raise AssertionError(f"GOAWAY {payload[8:]!r}")
            if kind == Kind.HEADERS:
                fields |= {str(name): str(value) for name, value in self._decoder.decode(payload)}
            if kind == Kind.DATA:
                answer += payload
                update = struct.pack(">I", len(payload))
                if payload:
                    self.socket.sendall(frame(Kind.WINDOW_UPDATE, 0, 0, update))
            if kind == Kind.PING and not flags & ACK:
                self.socket.sendall(frame(Kind.PING, ACK, 0, payload))
            if stream == self._stream and (kind == Kind.RST_STREAM or (kind < 2 and flags & Flag.END_STREAM)):
                return fields, answer

    def _next(self) -> tuple[int, int, int, bytes]:
        high, low, kind, flags, stream = parse_head(self._exactly(HEAD_BYTES), 0)
        return kind, flags, stream, self._exactly(high << 8 | low)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self.socket.recv(size - len(content))
            if not part:
                raise AssertionError("the server closed the connection")
            content += part
        return content


def call_bytes(encoder: Encoder, stream: int, path: str, content: bytes) -> bytes:
    """A whole call in frames of at most 16 KB."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "fuzz")]
    fields += [("content-type", "application/grpc"), ("te", "trailers"), ("x-request-id", "f")]
    parts = [content[at : at + 16_384] for at in range(0, len(content), 16_384)] or [b""]
    data = [frame(Kind.DATA, 0, stream, part) for part in parts[:-1]]
    block = frame(Kind.HEADERS, Flag.END_HEADERS, stream, encoder.encode(fields))
    return b"".join([block, *data, frame(Kind.DATA, Flag.END_STREAM, stream, parts[-1])])


def good(left: float, right: float, *, raw: bool = True) -> wire.ModelInferRequest:
    """One row for the weighted sum of two inputs."""
    request = wire.ModelInferRequest(model_name="sum", id="fuzz")
    for name, value in (("x0", left), ("x1", right)):
        tensor = request.inputs.add(name=name, datatype="FP32", shape=[1, 1])
        if raw:
            request.raw_input_contents.append(struct.pack("<f", value))
        else:
            tensor.contents.fp32_contents.append(value)
    request.outputs.add(name="score")
    request.parameters["note"].string_param = "x"
    return request


def _send_message(client: Client, seed: int, chance: random.Random, counts: Counts) -> None:
    message = _damaged_message(chance)
    content = framed(message) if chance.random() < 0.9 else _mutated(framed(message), chance)
    path = PATH if chance.random() < 0.8 else STREAM_PATH
    try:
        fields, _ = client.call(content, path)
    except TimeoutError as error:
        raise Finding(f"seed {seed}: no answer within {PATIENCE_SECONDS:g} s to {content[:300]!r}") from error
    except (AssertionError, OSError) as error:
        raise Finding(f"seed {seed}: a message cost its connection: {error}; sent {content[:300]!r}") from error
    _judge(fields, seed, content, counts)


def _judge(fields: dict[str, str], seed: int, content: bytes, counts: Counts) -> None:
    status = fields.get("grpc-status", "none")
    counts.statuses[status] += 1
    if not status.isdigit() or int(status) not in ALLOWED:
        raise Finding(f"seed {seed}: status {status}, {fields.get('grpc-message')!r} to {content[:500]!r}")


def _send_frames(address: tuple[str, int], seed: int, chance: random.Random, counts: Counts) -> None:
    """Damages what a whole connection sends. It is answered or closed; then nobody waits."""
    encoder = Encoder()
    calls = b"".join(call_bytes(encoder, n, PATH, framed(good(1, n).SerializeToString())) for n in (1, 3, 5))
    sent = _mutated(PREFACE + settings({}) + calls, chance)
    if chance.random() < 0.7:  # behind a good beginning, else few come further than the preface
        sent = PREFACE + settings({}) + _mutated(calls, chance)
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except TimeoutError as error:
            raise Finding(f"seed {seed}: neither answered nor closed within {PATIENCE_SECONDS:g} s") from error
        except OSError:
            pass  # reset: what was sent after the end of the conversation is nobody's
    counts.statuses["frames"] += 1


def _damaged_message(chance: random.Random) -> bytes:
    request = good(chance.uniform(-9, 9), chance.uniform(-9, 9), raw=chance.random() < 0.5)
    if chance.random() < 0.5:
        return _mutated(request.SerializeToString(), chance)
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change_field(request, chance)
    return request.SerializeToString()


def _change_field(request: wire.ModelInferRequest, chance: random.Random) -> None:
    """A well-formed message that says something odd."""
    tensor = chance.choice(request.inputs) if request.inputs else request.inputs.add()
    match chance.randrange(10):
        case 0:
            tensor.shape[:] = [chance.choice(_INTEGERS) for _ in range(chance.randrange(5))]
        case 1:
            tensor.datatype = chance.choice(("", "FP16", "FP32", "FP64", "BYTES", "BOOL", "INT8", "fp32", "X" * 9000))
        case 2:
            tensor.name = chance.choice(("", "x0", "x1", "é" * 200, "\0"))
        case 3:
            request.raw_input_contents.append(chance.randbytes(chance.choice((0, 1, 4, 8, 10_000))))
        case 4:
            tensor.contents.fp32_contents.extend(chance.choice((float("nan"), float("inf"), 1e38, 0.0)) for _ in range(3))
        case 5:
            tensor.contents.bytes_contents.append(chance.randbytes(5))
        case 6:
            request.inputs.append(tensor)
        case 7:
            del request.inputs[0]
        case 8:
            request.outputs.add(name=chance.choice(("", "score", "other")))
        case _:
            request.model_version = chance.choice(("", "1", "9" * 5000))


def _mutated(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if content:
            content = chance.choice(_MUTATIONS)(content, chance)
    return content


def _check_good(steady: Client, seed: int, counts: Counts) -> None:
    left, right = float(seed % 1000), float(seed % 7)
    raw = seed % 2 == 0
    fields, content = steady.call(framed(good(left, right, raw=raw).SerializeToString()))
    answer = wire.ModelInferResponse.FromString(content[5:])
    values = list(answer.outputs[0].contents.fp32_contents) if answer.outputs else []
    if raw and answer.raw_output_contents:
        values = list(struct.unpack("<f", answer.raw_output_contents[0]))
    if fields.get("grpc-status") != "0" or values != [left + right]:
        raise Finding(f"after seed {seed} a good call was answered {fields} {content[:300]!r}")
    counts.good += 1
