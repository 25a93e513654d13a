"""Inference over a real gRPC connection, as the stock client makes it."""

from pathlib import Path

from rpc_fixtures import raw_request, raw_scores, rpc_site, typed_request


async def test_raw_contents_are_answered_raw_and_typed_contents_typed(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", weights=[2, 3])
        raw = await pod.infer(raw_request([1, 10], [2, 20]))
        assert raw_scores(raw) == [32, 64]
        assert [(out.name, out.datatype, list(out.shape)) for out in raw.outputs] == [("score", "FP32", [2, 1])]
        assert not raw.outputs[0].HasField("contents")
        typed = await pod.infer(typed_request([1, 10], [2, 20]))
        assert list(typed.outputs[0].contents.fp32_contents) == [32, 64]
        assert list(typed.raw_output_contents) == []
        assert (typed.model_name, typed.model_version, typed.id) == ("churn", "churn-1", "")
