"""The report fits a termination message whatever the model is called, and says what would be right."""

import pytest

from podium_crds.package import InputSpec, OutputSpec
from podium_crds.verification import MAX_REPORT_BYTES, VerificationReport
from podium_serving.verify.report import image_mismatch, report_bytes, schema_digest, tensors_text
from serving_fixtures import weighted_sum_descriptor


def test_equal_schemas_have_equal_digests_in_any_order() -> None:
    one = weighted_sum_descriptor(inputs=3)
    other = one.model_copy(update={"inputs": one.inputs[::-1], "documentation": "new", "version": "2"})
    assert schema_digest(one) == schema_digest(other)
    assert schema_digest(one).startswith("sha256:")


@pytest.mark.parametrize("change", [{"name": "y"}, {"datatype": "FP64"}, {"shape": [-1, 2]}])
def test_another_name_datatype_or_shape_is_another_schema(change: dict[str, object]) -> None:
    one = weighted_sum_descriptor()
    other = one.model_copy(update={"inputs": [one.inputs[0].model_copy(update=change), *one.inputs[1:]]})
    assert schema_digest(one) != schema_digest(other)


def test_tensors_are_listed_as_far_as_they_fit() -> None:
    specs = [InputSpec(name=f"x{index}", datatype="FP32", shape=[-1, 1]) for index in range(19)]
    assert tensors_text(specs[:2], "input", 900) == "x0 FP32 [-1,1], x1 FP32 [-1,1] (2 inputs)"
    assert tensors_text(specs, "input", 60) == "x0 FP32 [-1,1], x1 FP32 [-1,1], ... (19 inputs)"
    assert tensors_text([OutputSpec(name="y", datatype="FP32", shape=[-1])], "output", 300) == "y FP32 [-1] (1 output)"


@pytest.mark.parametrize("limit", [30, 60, 300, 900])
@pytest.mark.parametrize("length", [4, 50, 128])
def test_the_list_of_tensors_never_exceeds_its_limit(limit: int, length: int) -> None:
    specs = [InputSpec(name=f"{index:04}".ljust(length, "x"), datatype="FP32", shape=[-1, 1]) for index in range(2000)]
    assert len(tensors_text(specs, "input", limit)) <= limit


@pytest.mark.parametrize(
    ("changes", "image_type", "text"),
    [
        ({}, "Generic", ""),
        ({}, "Built", ""),
        ({"requirements": ["holidays==0.60"]}, "Built", ""),
        (
            {"requirements": ["holidays==0.60"], "transform": True},
            "Generic",
            "the package has requirements holidays==0.60 and transform.py, which the generic image does not run: ",
        ),
    ],
)
def test_a_package_that_needs_its_image_says_what_to_write(changes: dict[str, object], image_type: str, text: str) -> None:
    wanted = text and f"{text}write spec.image.type: Built"
    assert image_mismatch(weighted_sum_descriptor(changes=changes), image_type) == wanted


@pytest.mark.parametrize("character", ["a", "é", "语", "😀", '"', "\x00"])
def test_a_report_fits_the_termination_message_in_every_alphabet(character: str) -> None:
    report = VerificationReport(
        passed=False,
        reason="R" * 64,
        message=character * 1200,
        schema_digest="sha256:" + "a" * 64,
        inputs=character * 900,
        outputs=character * 300,
        worst_absolute_error=1.2345678901234567e-300,
        p99_milliseconds=123456.789,
        peak_memory_bytes=2**50,
    )
    content = report_bytes(report)
    assert len(content) <= MAX_REPORT_BYTES
    assert VerificationReport.model_validate_json(content).reason == report.reason
