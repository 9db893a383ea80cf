# Zentry Cloud. `make help` lists what there is; `make run` starts it.

PYTHON  ?=
PORT    ?=
DATA_DIR ?=
WORKERS ?= 2
ARGS    ?=

VENV := .venv/bin
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup setup-run run test test-long check check-console bench format lock outdated sbom vendor docs screenshots clean

help: ## List these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with everything that checks and tests need
	@sh scripts/setup.sh dev

setup-run:
	@sh scripts/setup.sh run

run: setup-run ## Start the platform (PORT=8000 DATA_DIR=data)
	@exec $(VENV)/zentry serve $(if $(PORT),--port "$(PORT)") $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

test: setup ## Run the tests that guard a commit (WORKERS=2 ARGS="-k name")
	@$(VENV)/python -m pytest -n $(WORKERS) $(ARGS)

test-long: setup ## Run the large counts, in resumable parts
	@$(VENV)/python -m pytest -m long $(ARGS)

check: setup ## Format, lint, types, layers, house rules, migration drift, the console's types, insecure calls, secrets
	@$(VENV)/ruff format --check
	@$(VENV)/ruff check
	@$(VENV)/python scripts/lint.py
	@$(VENV)/mypy
	@$(VENV)/lint-imports --no-logo
	@$(VENV)/python scripts/drift.py
	@$(VENV)/python scripts/static.py
	@$(VENV)/python scripts/semgrep/run.py
	@sh scripts/console/check.sh if-node

check-console: ## Check the console's types; fails where Node.js is missing
	@sh scripts/console/check.sh

bench: setup ## Measure; the figures are explained in docs/performance.md
	@$(VENV)/python -m benchmarks $(ARGS)

format: setup ## Put the code into its form and mend what can be mended
	@$(VENV)/ruff check --fix-only --quiet
	@$(VENV)/ruff format

lock: ## Resolve the dependencies anew into requirements/*.txt
	@sh scripts/lock.sh

outdated: setup ## List the dependencies of which a newer version exists (asks the package registry)
	@$(VENV)/python -m pip --disable-pip-version-check list --outdated

sbom: setup ## Write what a server is made of to dist/sbom.json (CycloneDX)
	@mkdir -p dist
	@$(VENV)/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o dist/sbom.json

vendor: ## Fetch the assets of /docs, /redoc and the console anew into vendor/
	@sh scripts/vendor.sh

docs: setup ## Generate docs/reference anew from the code
	@$(VENV)/python scripts/reference.py
	@$(VENV)/python scripts/asvs.py
	@sh scripts/console/check.sh generate

screenshots: setup ## Take the pictures of the console anew into docs/img/console/ (ARGS="costs tokens": these alone)
	@$(VENV)/python -m benchmarks.screenshots $(ARGS)

clean: ## Remove what was built; data/ stays
	rm -rf .venv .venv-semgrep dist scripts/console/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find src tests migrations benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
