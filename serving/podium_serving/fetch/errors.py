"""What can go wrong between a digest and a checked folder. Texts name hosts and digests, never credentials."""


class PackageError(Exception):
    reason = "FetchFailed"


class FetchFailed(PackageError):
    """No peer and no registry gave the bytes. Trying again may help."""


class DigestMismatch(PackageError):
    """The source gave bytes, all of them, and they are not what the digest names."""

    reason = "DigestMismatch"


class InvalidPackage(PackageError):
    """The bytes are what the digest names, and they are no model package."""

    reason = "InvalidPackage"


class PackageNotFound(PackageError):
    """The registry answers and has no such package. Every pod would hear the same; a push may still come."""

    reason = "PackageNotFound"
