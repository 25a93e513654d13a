"""What goes into an image, as a Dockerfile, a build context and the hash of it all. Pure.

A first stage installs the requirements beside the base image's own packages, into a tree of its own; the final image is the
base plus that tree in one layer. So pip's configuration and the CA bundle are in no image that is pushed. The
package's transform.py is no part of the image: pods fetch it with the package; it counts as an input because it is what the
requirements are for.
"""

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from podium_crds.package import canonical_json, sha256_digest

CONTEXT_DIR = "/build"
TREE_DIR = "/tree"
SBOM_PATH = "/opt/podium/sbom.json"


class UnusableRequirement(ValueError):
    """A requirement line that would do more than name a package. The message says which and why."""


@dataclass(frozen=True)
class Recipe:
    """`base_image` is a reference by digest. `pip_conf` and `ca_bundle` empty: none."""

    base_image: str
    requirements: Sequence[str]
    transform: bytes
    installer: bytes
    """The script that the first stage runs; see install.py."""
    pip_conf: bytes = field(default=b"", repr=False)
    ca_bundle: bytes = field(default=b"", repr=False)

    @property
    def dockerfile(self) -> str:
        """The base image keeps its user, environment and command: nothing of them is repeated here."""
        return "\n".join(
            [
                f"FROM {self.base_image} AS packages",
                "USER 0:0",
                f"COPY . {CONTEXT_DIR}/",
                f'RUN ["python", "{CONTEXT_DIR}/install.py", "{CONTEXT_DIR}", "{TREE_DIR}"]',
                f"FROM {self.base_image}",
                f"COPY --from=packages {TREE_DIR}/ /",
                "",
            ]
        )

    @property
    def inputs_hash(self) -> str:
        """64 hex digits: the image's tag. The CA bundle is left out: it changes who is trusted, not what is installed."""
        inputs = {
            "base_image": self.base_image,
            "requirements": list(self.requirements),
            "transform": sha256_digest(self.transform),
            "pip_conf": sha256_digest(self.pip_conf),
            "dockerfile": self.dockerfile,
            "installer": sha256_digest(self.installer),
        }
        return hashlib.sha256(canonical_json(inputs)).hexdigest()

    def context(self) -> bytes:
        """The build context as a tar."""
        files = {
            "Dockerfile": self.dockerfile.encode(),
            "install.py": self.installer,
            "requirements.txt": "".join(f"{line}\n" for line in self.requirements).encode(),
            **({"pip.conf": self.pip_conf} if self.pip_conf else {}),
            **({"ca.crt": self.ca_bundle} if self.ca_bundle else {}),
        }
        return _tar(files)


def checked_requirements(lines: Sequence[str]) -> list[str]:
    """The lines without blanks and comments. Raises UnusableRequirement for pip options: where packages come from is decided
    by the installation's pip.conf, not by a package."""
    kept = []
    for line in lines:
        text = line.strip()
        if "\n" in text or "\r" in text:
            raise UnusableRequirement(f"requirement {text!r} is more than one line; list each on its own")
        if text.startswith("-"):
            raise UnusableRequirement(
                f"requirement {text!r} is a pip option; list packages only: the index is set by the operator's pip.conf"
            )
        if text and not text.startswith("#"):
            kept.append(text)
    return kept


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Equal files give equal bytes, so that the Engine's cache of layers hits."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
