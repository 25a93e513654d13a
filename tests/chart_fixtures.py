"""Where the chart lies, and the Kubernetes that it is rendered for where no API server is asked."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CHART = REPOSITORY / "charts" / "podium"
KUBERNETES = "1.34.4"
