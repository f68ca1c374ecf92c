# Every target sets up what it needs on a fresh Debian 12 machine that has Rust.

.DEFAULT_GOAL := help
.PHONY: help demo test check fresh fuzz mutations bombs bench bench-clients bench-functions bench-serve bench-sharp package image release aws-demo aws-measure aws-test deploy undeploy aws-smoke

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: ## build, start a server, upload pictures, print what to open (PHOTO=file adds yours, DEMO_ONCE=1 exits)
	@scripts/demo

test: ## every test: Rust, then real clients against the real binary (PYTEST_ARGS="-k kill" narrows the second)
	@scripts/test

check: ## format, lints, docs, licences and dependency arrows
	@scripts/check

fresh: ## demo, test and check in a throw-away Debian root with nothing but Rust, as .ci/run does (needs root; STEPS narrows)
	@scripts/fresh-machine

fuzz: ## every fuzz target for SECONDS=60 each, and the table in docs/security.md (TARGETS, SANITIZER; see fuzz/README.md)
	@scripts/setup fuzz
	@scripts/fuzz

mutations: ## COUNT=100000 damaged pictures through the real jail (SEED; ONLY=number runs one again)
	@scripts/setup build
	@scripts/mutations

bombs: ## what reading each generated bomb takes, into the table in docs/security.md
	@scripts/setup build
	@scripts/bombs

package: ## the Lambda functions and the template to deploy, in target/package (ARCH, CONFIG, HOLD_BACK; see scripts/package)
	@scripts/package

image: ## an OCI image of the one-machine shape: target/package/tintype-oci.tar
	@scripts/oci-image

release: ## the files of a release for this machine's processor, in target/release-files (ARCH, TAG; see scripts/release)
	@scripts/release

deploy: ## deploy target/package to AWS, or update it (ENVIRONMENT=prod, PARAMS="Name=value ..."; deploy/README.md)
	@scripts/aws-deploy

undeploy: ## remove the environment from AWS; its data stays, and goes too with PURGE=yes
	@scripts/aws-undeploy

aws-smoke: ## check a deployed environment from outside (ONLY="formats delete" narrows)
	@scripts/aws-smoke

aws-demo: ## the AWS shape without an account: deploy into MiniStack, upload, leave it running (DEMO_ONCE=1 exits)
	@scripts/aws-demo

aws-measure: ## what an upload uses of Lambda, S3 and DynamoDB, with target/package in MiniStack (deploy/cost.md)
	@scripts/aws-measure

aws-test: ## package, then tests/aws: the shipped template and binaries in MiniStack (PYTEST_ARGS="-k storm" narrows)
	@scripts/aws-test

bench: ## how long each step of the engine takes, on a generated 12 MP picture (release build)
	@scripts/setup build
	cargo bench --package tintype-transcode --locked

bench-functions: ## the worst requests of CloudFront's request function under Node and njs, as ratios to a plain one
	@scripts/bench-functions

bench-sharp: ## Tintype against the reference sharp handler on the same files (PHOTOS=dir ROUNDS=5 WRITE=docs/performance.md)
	@scripts/bench-sharp

bench-clients: ## an honest client beside 2,000 slow connections, and how long those last (ROUNDS, WRITE, TINTYPE)
	@scripts/bench-clients

bench-serve: ## a running server: upload to ready, cached delivery idle and busy, durable puts (ROUNDS, DATA, WRITE, TINTYPE)
	@scripts/bench-serve
