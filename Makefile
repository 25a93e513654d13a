PYTHON := .venv/bin/python

generate: ## Write the CRDs from the types
	$(PYTHON) -m podium_crds.generate crds charts/podium/files/crds
