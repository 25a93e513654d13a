"""The report in words and bytes. Pure: measured values in, a VerificationReport that fits a termination message out."""

from collections.abc import Sequence
from itertools import accumulate

from podium_crds.package import Descriptor, TensorSpec, canonical_json, sha256_digest
from podium_crds.verification import MAX_REPORT_BYTES, VerificationReport

MAX_MESSAGE = 1200
MAX_INPUTS = 900
MAX_OUTPUTS = 300


def schema_digest(descriptor: Descriptor) -> str:
    """sha256 over names, datatypes and shapes. Order does not count: tensors are sent by name."""

    def facts(specs: Sequence[TensorSpec]) -> list[list[object]]:
        return sorted(([spec.name, spec.datatype, spec.shape] for spec in specs), key=lambda fact: str(fact[0]))

    return sha256_digest(canonical_json({"inputs": facts(descriptor.inputs), "outputs": facts(descriptor.outputs)}))


def tensors_text(specs: Sequence[TensorSpec], kind: str, limit: int) -> str:
    """`tenure FP32 [-1,1], contract BYTES [-1,1], ... (19 inputs)` in at most `limit` characters."""
    said = [f"{spec.name} {spec.datatype} [{','.join(map(str, spec.shape))}]" for spec in specs]
    tail = f"({len(said)} {kind}{'s' if len(said) != 1 else ''})"
    whole = f"{', '.join(said)} {tail}"
    if len(whole) <= limit:
        return whole
    room = limit - len(f"... {tail}")
    fitting = sum(1 for length in accumulate(len(text) + len(", ") for text in said) if length <= room)
    return ", ".join([*said[:fitting], f"... {tail}"])


def image_mismatch(descriptor: Descriptor, image_type: str) -> str:
    """What is wrong with the ModelVersion's image type; empty when it fits."""
    if image_type != "Generic" or not descriptor.needs_image:
        return ""
    needs = ([f"requirements {', '.join(descriptor.requirements)}"] if descriptor.requirements else []) + (
        ["transform.py"] if descriptor.transform else []
    )
    return f"the package has {' and '.join(needs)}, which the generic image does not run: write spec.image.type: Built"


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def report_bytes(report: VerificationReport) -> bytes:
    """JSON of at most 4,096 bytes. Characters may take several bytes, so texts are cut once more where that is needed."""
    for limit in (MAX_MESSAGE, 600, 300, 150, 60):
        shorter = report.model_copy(
            update={
                "message": cut(report.message, limit),
                "inputs": cut(report.inputs, limit),
                "outputs": cut(report.outputs, limit),
            }
        )
        content = shorter.model_dump_json().encode()
        if len(content) <= MAX_REPORT_BYTES:
            return content
    raise AssertionError("every field is bounded: 60 characters each always fit")
