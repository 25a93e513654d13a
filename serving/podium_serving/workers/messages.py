"""What supervisor and workers say to each other. Data only."""

from typing import Any

import msgspec

from podium_serving.exposition import Family


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Get all that the plan needs and keep it; answer nothing under it until the pod's epoch is its own."""

    plan: str
    """JSON of a podium_crds.plan.Plan."""
    folder: str = ""
    """Its package on disk, checked. Empty: the champion lives in another pool, or its model is held already."""
    descriptor: bytes = b""
    """podium.yaml, where the champion lives in another pool."""


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Let go of the plan of this epoch, which does not answer (any more)."""

    epoch: int


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Take connections."""

    say_so: bool = False
    """On standard output, for people: one of several says it for all."""


class Tell(msgspec.Struct, frozen=True, tag=True):
    """Look at the pod's epoch and say how you are. Answered by a Report."""


class Sample(msgspec.Struct, frozen=True, tag=True):
    """Answered by Samples."""


class Expose(msgspec.Struct, frozen=True, tag=True):
    """From a worker: what does /metrics of the pod say? Answered by Text."""


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Text(msgspec.Struct, frozen=True, tag=True):
    content: bytes


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """What was asked failed. `reason` is one CamelCase word of swap.faults."""

    reason: str
    message: str


class Report(msgspec.Struct, frozen=True, tag=True):
    """How a worker is."""

    epoch: int
    """What it answers with; 0: nothing."""
    ready: bool
    open_requests: dict[int, int]
    """By the epoch that admitted them."""
    admissions: dict[int, tuple[float | None, float | None]]
    """By epoch, the newest few: Unix seconds of the first and the last admission."""
    private_bytes: int
    """Memory of the worker and its hook processes that nobody else uses."""
    shared_bytes: int
    """Memory of libraries and files, which the workers have in common."""


class Samples(msgspec.Struct, frozen=True, tag=True):
    families: list[Family]


Message = Hold | Drop | Listen | Tell | Sample | Expose | Done | Text | Refusal | Report | Samples


class Packet(msgspec.Struct, frozen=True, array_like=True):
    number: int
    answers: bool
    """Whether `message` is the answer to the question of that number."""
    message: Message


_ENCODER = msgspec.msgpack.Encoder()
_DECODER: Any = msgspec.msgpack.Decoder(Packet)


def packet_bytes(packet: Packet) -> bytes:
    return _ENCODER.encode(packet)


def read_packet(content: bytes) -> Packet:
    packet: Packet = _DECODER.decode(content)
    return packet
