"""`python -m podium_operator.build`: a package's folder in, an image in a registry and a BuildReport out."""

import argparse
from collections import deque
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from podium_crds.package import DESCRIPTOR_FILE, TRANSFORM_FILE, Descriptor
from podium_crds.verification import BuildReport
from podium_operator.build.engine import Builder, DockerEngine, EngineFault, StepFailed, read_logins
from podium_operator.build.recipe import SBOM_PATH, Recipe, UnusableRequirement, checked_requirements
from podium_operator.build.report import cut, failure_message, fitted, is_retryable, scrubbed, secrets_in

_KEPT_LINES = 400
_MAX_MESSAGE = 3000


class UnusablePackage(Exception):
    """The folder holds no package that could be built. The message says what is wrong."""


def main(arguments: Sequence[str]) -> int:
    """0 when the image is in the registry, 1 when not; the report says which image, or why."""
    options = _parser().parse_args(arguments)
    try:
        recipe = read_recipe(options.package, options.base_image, options.pip_conf, options.ca_bundle)
        engine = DockerEngine(read_logins(options.registry_auth_file), options.network)
        report = build(recipe, options.repository, engine)
    except EngineFault as fault:
        report = BuildReport(status="Failed", message=cut(scrubbed(str(fault)), _MAX_MESSAGE), retryable=fault.retryable)
    except (UnusablePackage, UnusableRequirement, ValueError) as error:
        report = BuildReport(status="Failed", message=cut(scrubbed(str(error)), _MAX_MESSAGE))
    options.report.write_bytes(fitted(report))
    print(report.image or report.message, flush=True)
    return 0 if report.status == "Built" else 1


def build(recipe: Recipe, repository: str, builder: Builder) -> BuildReport:
    """The image for this recipe: the one that is there, or a new one. Raises EngineFault."""
    tag = recipe.inputs_hash
    if digest := builder.digest_of(repository, tag):
        return BuildReport(status="Built", image=f"{repository}@{digest}", inputs_hash=tag, reused=True)
    secrets = secrets_in(recipe.pip_conf.decode(errors="replace"))
    lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def told(line: str) -> None:
        lines.append(scrubbed(line, secrets))
        print(lines[-1], flush=True)

    labels = {
        "dev.podium.inputs": tag,
        "dev.podium.sbom": SBOM_PATH,
        "org.opencontainers.image.base.name": recipe.base_image,
    }
    try:
        size = builder.build(recipe.context(), f"{repository}:{tag}", recipe.base_image, labels, told)
    except StepFailed:
        message = failure_message("the requirements could not be installed", list(lines))
        return BuildReport(
            status="Failed", inputs_hash=tag, message=cut(message, _MAX_MESSAGE), retryable=is_retryable(list(lines))
        )
    digest = builder.push(repository, tag)
    return BuildReport(status="Built", image=f"{repository}@{digest}", inputs_hash=tag, size_bytes=size)


def read_recipe(package: Path, base_image: str, pip_conf: Path | None, ca_bundle: Path | None) -> Recipe:
    """Raises UnusablePackage or UnusableRequirement."""
    try:
        descriptor = Descriptor.model_validate(yaml.safe_load((package / DESCRIPTOR_FILE).read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UnusablePackage(f"{DESCRIPTOR_FILE} of the package cannot be read: {error}") from error
    if not descriptor.needs_image:
        raise UnusablePackage(
            "the package has neither requirements nor transform.py, so there is nothing to build; "
            "set the ModelVersion's spec.image.type to Generic"
        )
    transform = (package / TRANSFORM_FILE).read_bytes() if descriptor.transform else b""
    return Recipe(
        base_image=base_image,
        requirements=checked_requirements(descriptor.requirements),
        transform=transform,
        installer=(resources.files("podium_operator.build") / "install.py").read_bytes(),
        pip_conf=pip_conf.read_bytes() if pip_conf else b"",
        ca_bundle=ca_bundle.read_bytes() if ca_bundle else b"",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m podium_operator.build", description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="folder of the fetched package")
    parser.add_argument("--base-image", required=True, help="the scoring image, by digest")
    parser.add_argument("--repository", required=True, help="where the image is pushed, without tag")
    parser.add_argument("--network", default="default", help="Docker network of the steps that install")
    parser.add_argument("--pip-conf", type=Path, help="pip configuration; in no image that is pushed")
    parser.add_argument("--ca-bundle", type=Path, help="certificates that pip trusts; in no image that is pushed")
    parser.add_argument("--registry-auth-file", type=Path, help="dockerconfigjson for the base image and the push")
    parser.add_argument("--report", type=Path, default=Path("/dev/termination-log"), help="where the BuildReport is written")
    return parser
