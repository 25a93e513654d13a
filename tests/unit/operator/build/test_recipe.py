import io
import tarfile
from dataclasses import replace

import pytest

from podium_operator.build.recipe import Recipe, UnusableRequirement, checked_requirements

RECIPE = Recipe(
    base_image="registry.example/scoring@sha256:" + "a" * 64,
    requirements=["humanize==4.9.0"],
    transform=b"import humanize",
    installer=b"print()",
    pip_conf=b"[global]",
    ca_bundle=b"-----BEGIN",
)


def test_the_final_image_gets_the_installed_tree_and_nothing_else() -> None:
    first, final = RECIPE.dockerfile.split("\nFROM ")[0], RECIPE.dockerfile.split("\nFROM ")[1]
    assert first.startswith(f"FROM {RECIPE.base_image} AS packages\nUSER 0:0\n")
    assert final == f"{RECIPE.base_image}\nCOPY --from=packages /tree/ /\n"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(RECIPE, True, id="equal"),
        pytest.param(replace(RECIPE, requirements=["humanize==4.9.1"]), False, id="requirements"),
        pytest.param(replace(RECIPE, transform=b"import other"), False, id="transform"),
        pytest.param(replace(RECIPE, base_image=RECIPE.base_image[:-1] + "b"), False, id="base-image"),
        pytest.param(replace(RECIPE, pip_conf=b"[global]\nindex-url=x"), False, id="pip-configuration"),
        pytest.param(replace(RECIPE, installer=b"pass"), False, id="installer"),
        pytest.param(replace(RECIPE, ca_bundle=b"other"), True, id="who-is-trusted-changes-no-image"),
    ],
)
def test_the_hash_covers_what_the_image_depends_on(other: Recipe, same: bool) -> None:
    assert (other.inputs_hash == RECIPE.inputs_hash) is same


def test_equal_recipes_are_equal_contexts_byte_by_byte() -> None:
    assert RECIPE.context() == replace(RECIPE).context()
    with tarfile.open(fileobj=io.BytesIO(RECIPE.context())) as archive:
        assert archive.getnames() == ["Dockerfile", "ca.crt", "install.py", "pip.conf", "requirements.txt"]
        assert {member.mtime for member in archive.getmembers()} == {0}


def test_blanks_and_comments_are_no_requirements() -> None:
    assert checked_requirements(["", "# why", "  humanize==4.9.0 "]) == ["humanize==4.9.0"]


@pytest.mark.parametrize("line", ["--index-url http://elsewhere", "-e .", "-r more.txt", "humanize\n--pre"])
def test_a_package_may_not_say_where_packages_come_from(line: str) -> None:
    with pytest.raises(UnusableRequirement, match="requirement"):
        checked_requirements([line])


def test_no_credential_shows_when_a_recipe_is_printed() -> None:
    assert "secret" not in repr(replace(RECIPE, pip_conf=b"secret", ca_bundle=b"secret"))
