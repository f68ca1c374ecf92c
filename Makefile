# Every target sets up what it needs on a fresh Debian 12 machine that has Rust.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## build, start a server, upload pictures, print what to open (PHOTO=file adds yours, DEMO_ONCE=1 exits)
	@scripts/demo

test: ## every test: Rust, then real clients against the real binary (PYTEST_ARGS="-k kill" narrows the second)
	@scripts/test

check: ## format, lints, docs, licences and dependency arrows
	@scripts/check

bench: ## how long each step of the engine takes, on a generated 12 MP picture (release build)
	@scripts/setup build
	cargo bench --package tintype-transcode --locked
