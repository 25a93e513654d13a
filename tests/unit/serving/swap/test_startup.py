"""When a pod that answered nothing yet may begin."""

import socket
from pathlib import Path

import pytest

from podium_crds.plan import Commit, PeerState
from podium_serving.fetch.peers import PeerAnswers, resolve
from podium_serving.swap.startup import Clear, Wait, may_begin, read_record
from swap_fixtures import KEY, plan


def peers(*preparing: int | None, silent: int = 0) -> PeerAnswers:
    return PeerAnswers(tuple(PeerState(preparing_epoch=epoch) for epoch in preparing), silent)


@pytest.mark.parametrize(
    ("own_preparing", "answers", "waited", "verdict"),
    [
        pytest.param(0, peers(), 0.0, Clear(), id="no peers"),
        pytest.param(0, peers(None, None), 0.0, Clear(), id="peers that prepare nothing"),
        pytest.param(0, peers(5, 4), 0.0, Clear(), id="peers that still prepare what is committed"),
        pytest.param(0, peers(None, 6), 0.0, Wait("a peer prepares epoch 6"), id="a newer preparation"),
        pytest.param(0, peers(6), 299.0, Wait("a peer prepares epoch 6"), id="as long as it takes"),
        pytest.param(0, peers(6), 300.0, Clear(), id="but not for ever"),
        pytest.param(6, peers(6), 0.0, Clear(), id="this pod takes part in it"),
        pytest.param(6, peers(7), 0.0, Wait("a peer prepares epoch 7"), id="it takes part in an older one"),
        pytest.param(0, peers(None, silent=1), 0.0, Wait("peers do not answer"), id="a silent peer may know more"),
        pytest.param(0, peers(None, silent=1), 5.0, Clear(), id="a peer that stays silent is gone"),
        pytest.param(0, None, 0.0, Wait("peers do not answer"), id="nobody says who the peers are"),
        pytest.param(0, None, 5.0, Clear(), id="nobody says so for long"),
        pytest.param(0, peers(6, silent=1), 5.0, Wait("a peer prepares epoch 6"), id="silence does not hide a preparation"),
    ],
)
def test_a_pod_may_begin_with_epoch_five(
    own_preparing: int, answers: PeerAnswers | None, waited: float, verdict: Clear | Wait
) -> None:
    assert may_begin(5, own_preparing, answers, waited) == verdict


def test_the_record_is_read_as_it_is_mounted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "commit.json"
    assert read_record(path) is None
    path.write_text("")
    assert read_record(path) is None
    assert "is not read" in caplog.text
    envelope = KEY.sign(Commit(plan=plan(5)))
    path.write_text(envelope.model_dump_json())
    assert read_record(path) == envelope


async def test_a_name_without_addresses_means_no_peers() -> None:
    assert await resolve("127.0.0.9", 8081) == ["127.0.0.9"]
    try:
        socket.getaddrinfo("no-such-peers.invalid", 8081)
    except socket.gaierror as error:
        if error.errno not in (socket.EAI_NONAME, socket.EAI_NODATA):
            pytest.skip("this machine's resolver does not say that a name does not exist")
    assert await resolve("no-such-peers.invalid", 8081) == []
