from typing import Any

import pytest

from podium_crds.verification import MAX_REPORT_BYTES, BuildReport
from podium_operator.build.engine import EngineFault, pushed_digest, read_logins
from podium_operator.build.report import cut, failure_message, fitted, is_retryable, scrubbed, secrets_in

OUTPUT = [
    "Step 4/6 : RUN [...]",
    " ---> Running in 0123",
    "Looking in indexes: https://index.example/simple",
    "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 1, 2, 3, 4, 5, 6, 7, 8, 8.1, 8.2)",
    "ERROR: No matching distribution found for x==9",
    "Removing intermediate container 0123",
    "The command 'python install.py' returned a non-zero code: 1",
]


def test_a_failure_begins_with_pips_own_reason_and_names_the_newest_versions() -> None:
    assert failure_message("the requirements could not be installed", OUTPUT) == (
        "the requirements could not be installed: Could not find a version that satisfies the requirement x==9 "
        "(from versions: ..., 3, 4, 5, 6, 7, 8, 8.1, 8.2); No matching distribution found for x==9\n"
        "The last lines were:\nLooking in indexes: https://index.example/simple"
    )


def test_a_requirement_against_the_scoring_images_own_package_says_what_would_be_right() -> None:
    output = [
        "ERROR: Cannot install numpy==1.26.4 because these package versions have conflicting dependencies.",
        "The conflict is caused by:",
        "    The user requested numpy==1.26.4",
        "    The user requested (constraint) numpy==2.3.5",
    ]
    first = failure_message("the requirements could not be installed", output).splitlines()[0]
    assert "the scoring image has numpy==2.3.5 and keeps it: ask for that version, or for none" in first


def test_only_the_last_lines_are_told() -> None:
    message = failure_message("it failed", [f"line {n}" for n in range(100)])
    assert message.splitlines()[:3] == ["it failed", "The last lines were:", "line 88"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:pass@index.example/simple", "https://***@index.example/simple"),
        ("git+ssh://token@host/x and http://a:b@c", "git+ssh://***@host/x and http://***@c"),
        ("password hunter22 in a traceback", "password *** in a traceback"),
        ("\x1b[31mERROR\x1b[0m", "ERROR"),
        ("mail me@example.com", "mail me@example.com"),
    ],
)
def test_credentials_and_colours_are_taken_out(text: str, clean: str) -> None:
    assert scrubbed(text, ["hunter22"]) == clean


def test_the_credentials_of_a_pip_conf_are_found() -> None:
    found = secrets_in("[global]\nindex-url = https://build:hunter22@index.example/simple\nextra-index-url = http://abc@x\n")
    assert found == ["build:hunter22", "hunter22", "build"]


@pytest.mark.parametrize(
    ("line", "retryable"),
    [
        ("WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('", True),
        ("Temporary failure in name resolution", True),
        ("OSError: [Errno 28] No space left on device", True),
        ("ERROR: No matching distribution found for x==9", False),
        ("error: command 'gcc' failed: No such file or directory", False),
    ],
)
def test_only_an_index_that_was_away_is_tried_again(line: str, retryable: bool) -> None:
    assert is_retryable([*OUTPUT, line]) is retryable


def test_a_report_always_fits_a_termination_message() -> None:
    report = BuildReport(status="Failed", message="first\n" + '\n"ü\\' * 740 + "\nlast")
    content = fitted(report)
    assert len(content) <= MAX_REPORT_BYTES
    message = BuildReport.model_validate_json(content).message
    assert message.startswith("first")
    assert message.endswith("last")


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 10, 50, 100, 200])
def test_a_cut_text_is_never_longer_than_asked(length: int) -> None:
    assert len(cut("0123456789" * 10, length)) <= length


def test_a_push_tells_the_digest() -> None:
    events: list[dict[str, Any]] = [{"status": "Pushing"}, {"aux": {"Tag": "t", "Digest": "sha256:1", "Size": 3}}]
    assert pushed_digest("r/x", events) == "sha256:1"


@pytest.mark.parametrize(
    ("error", "retryable"), [("denied: requested access to the resource is denied", False), ("received status 503", True)]
)
def test_a_push_that_is_not_allowed_is_not_tried_again(error: str, retryable: bool) -> None:
    with pytest.raises(EngineFault, match="r/x") as caught:
        pushed_digest("r/x", [{"error": error}])
    assert caught.value.retryable is retryable


def test_logins_are_found_by_registry_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("auth") / ".dockerconfigjson"
    file.write_text(
        '{"auths": {"https://r.example/v2/": {"auth": "bWU6cGFzczp3b3Jk"}, "r:5000": {"username": "u", "password": "p"}}}'
    )
    logins = read_logins(file)
    assert logins.of("r.example/podium/scoring") == {"username": "me", "password": "pass:word"}
    assert logins.of("r:5000/x") == {"username": "u", "password": "p"}
    assert logins.of("other/x") is None
    assert "pass" not in repr(logins)


def test_a_file_that_holds_no_logins_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("auth") / "config.json"
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json should be a dockerconfigjson"):
        read_logins(file)
