"""docs/guide/labels.md says what is true: its commands are run against a collector and answered as it says."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from label_fixtures import asked
from monitor_fixtures import KEY, SOURCE, CollectorProcess, running
from podium_crds.capture import label_token

pytestmark = pytest.mark.process

GUIDE = (Path(__file__).parents[4] / "docs" / "guide" / "labels.md").read_text()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


def test_the_guides_commands_are_answered_as_it_says(collector: CollectorProcess) -> None:
    asyncio.run(collector.ready())
    url = f"{collector.url}/v1/labels"
    environment = {**os.environ, "LABELS_URL": url, "LABELS_TOKEN": label_token(KEY, SOURCE)}
    examples = re.findall(r"```bash\n(.*?)```\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
    assert len(examples) == GUIDE.count("```bash") == 3
    for command, answer in examples:
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == json.loads(answer), command
    [sql] = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)
    assert asked(collector, f"with predictions as (select 'c-1042' as join_key, 'no' as \"output.text.label\") {sql}") == [
        ("c-1042", "no", '"yes"')
    ]
