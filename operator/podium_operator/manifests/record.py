"""The record: the ConfigMap with the committed, signed plan. Pods mount it; the operator changes it by update only.

`notes.json` is the operator's own page in it, unsigned because nobody acts on it without a plan: what it must know of the
committed champion after its ModelVersion is deleted, and the highest epoch that was ever used.
"""

from pydantic import BaseModel, ConfigDict

from podium_crds.names import PENDING_KEY, RECORD_KEY
from podium_crds.plan import Envelope, Plan
from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import Owner, Pool, child_metadata

NOTES_KEY = "notes.json"


class Notes(BaseModel):
    """Facts about the committed champion, for decisions and status."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    highest_epoch: int = 0
    """Epochs up to here are used, aborted ones too."""
    since: str = ""
    """RFC 3339: when the champion's version was committed."""
    pool_since: str = ""
    """When it was committed to its pool. Empty: with its version."""
    swap_epoch: int = 0
    """The epoch that brought the champion's version."""
    from_version: str = ""
    """The version before it. Empty: it is the first."""
    schema_digest: str = ""
    inputs: str = ""
    outputs: str = ""
    contract: int = 1
    """What the champion's image understands, as SERVING_CONTRACT counts."""
    peak_memory_bytes: int = 0
    """Measured at verification; 0: not known."""


def record_config_map(owner: Owner, commit: Envelope, pending: Plan | None, notes: Notes) -> Manifest:
    """The champion's record."""
    data = {RECORD_KEY: commit.model_dump_json(), NOTES_KEY: notes.model_dump_json()}
    if pending is not None:
        data[PENDING_KEY] = pending.model_dump_json()
    return _config_map(child_metadata(owner, owner.child("record")), data)


def challenger_record(owner: Owner, pool: Pool, commit: Envelope) -> Manifest:
    """Written once: a challenger's pool holds one version for ever."""
    return _config_map(child_metadata(owner, owner.child(pool.record_role), pool), {RECORD_KEY: commit.model_dump_json()})


def _config_map(metadata: Manifest, data: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
