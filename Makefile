# make run | test | setup | check | test-one T=... | format
.PHONY: run test crash setup setup-dev check test-one format

setup:
	@tools/setup

setup-dev:
	@tools/setup dev

run: setup
	@tools/run

test: setup-dev
	.venv/bin/pytest -q tests

crash: setup-dev
	TIDEGATE_CRASH_POINTS=200 .venv/bin/pytest -q -s tests/crash

test-one: setup-dev
	.venv/bin/pytest -q -x $(T)

# Needs root and some minutes; unpacks Debian's docker.io under build/ and writes docs/benchmarks.md.
bench: setup-dev
	.venv/bin/python -m bench $(BENCH_OPTIONS)

format: setup-dev
	.venv/bin/ruff format src tests bench
	.venv/bin/ruff check --fix src tests bench

check: setup-dev
	.venv/bin/ruff format --check src tests bench
	.venv/bin/ruff check src tests bench
	.venv/bin/mypy
	.venv/bin/lint-imports
