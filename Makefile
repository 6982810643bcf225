# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The stack. `local` installs into a local cluster; one that provisions a cluster, as `dev` does, gets it from a stand-in
# for Google Cloud on this machine, where nothing is billed.
STACK ?= local
# Of the local nodes, for `make up`. NODES=kwok plays them; NODES=containers runs containers on them and needs root.
# MACHINE_TYPE=e2-standard-2 NODE_COUNT=5: any type whose size its name tells.
NODES ?=
MACHINE_TYPE ?=
NODE_COUNT ?=
# Engine tests wait for their clusters much of the time: more at once than processors.
TEST_WORKERS ?= 3

# Where it is set, each of the many Python processes of a run compiles the SDKs anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

# Dragonfly 2.5 is tested on nodes where its client is built. BUILD_CLIENT=yes builds it, for 10 to 20 min.
BUILD_CLIENT ?=

PYTHON_RUN = .venv/bin/python
OPTIONS = --stack $(STACK) $(if $(NODES),--nodes $(NODES)) \
	$(if $(MACHINE_TYPE),--machine-type $(MACHINE_TYPE)) $(if $(NODE_COUNT),--node-count $(NODE_COUNT))
LOCAL = $(PYTHON_RUN) -m local $(OPTIONS)
# Each part of the tests says how long it took, and what of it the processors worked.
TIMED = @TIMEFORMAT='$@: %0R s, CPU %0U + %0S s'; time
# When the time is over, the interrupt lets the tests end their clusters. It has room for the client, where it is still
# being built.
NODE_TESTS = timeout --foreground --signal=INT --kill-after=2m 70m $(PYTHON_RUN) -m pytest tests/nodes -rs
UP_STAMP = .venv/.packages-up
TEST_STAMP = .venv/.packages-test
POLICY_STAMP = policy/venv/.packages
# Debian's containerd and runc conflict with Docker's containerd.io: --yes alone would remove Docker without a question.
APT_INSTALL = DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends --no-remove

.PHONY: help up preview down status console recover env images client tools package-lists node-packages test-packages client-packages bench audit test test-by-turns client-meanwhile test-unit test-scripts test-engine test-nodes test-nodes-of-2.5 test-nodes-of-others mutate lint format diagram line-table metrics-table reach-table picture pictures declarations config-table clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/; t found; d; :found; s/[$$][$$]/$$/g; p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-13s %s\n' "$$target" "$$text"; done

up: $(UP_STAMP) ## Start a local Kubernetes and install Dragonfly into it; STACK=dev: provision GKE on a played cloud.
	@$(LOCAL) up

preview: $(UP_STAMP) ## Show what `make up` would change; starts the cluster if need be.
	@$(LOCAL) preview

down: $(UP_STAMP) ## Destroy the stack and stop the cluster.
	@$(LOCAL) down

status: $(UP_STAMP) ## Say what runs and why something does not, which versions, and how to reach the console.
	@$(LOCAL) status

console: $(UP_STAMP) ## Open the manager's console in a browser, until Ctrl-C; needs NODES=containers.
	@$(LOCAL) console

recover: $(UP_STAMP) ## Bring back a stack whose update was killed.
	@$(LOCAL) recover

env: $(UP_STAMP) ## Print the environment for pulumi and kubectl: eval "$$(make -s env)"
	@$(LOCAL) env

images: $(UP_STAMP) ## Fetch the container images, or build them where no registry is in reach.
	@$(PYTHON_RUN) -m local.images

client: $(UP_STAMP) ## Build the Rust client, which Dragonfly 2.5 needs where no registry is in reach; once, 10 to 20 min.
	@$(PYTHON_RUN) -m local.tools.supply dragonfly-client dragonfly

bench: $(UP_STAMP) ## Measure preview and installation; NODES=containers: with real containers, and under load.
	@$(PYTHON_RUN) -m bench $(OPTIONS)

test: $(TEST_STAMP) ## Everything that CI checks; BUILD_CLIENT=yes: builds the Rust client meanwhile.
	@$(MAKE) --no-print-directory --jobs=$(if $(BUILD_CLIENT),4 client-meanwhile,3) test-by-turns

# All of Dragonfly 2.5, for which no test waits but those of it on nodes. Nice, and not idle: beside a program that is
# always busy it would come to a stand.
client-meanwhile: $(UP_STAMP)
	$(TIMED) nice $(PYTHON_RUN) -m local.tools.supply dragonfly-client dragonfly

test-by-turns: $(TEST_STAMP)
	@$(MAKE) --no-print-directory --output-sync=target tools lint test-unit test-scripts
	@$(MAKE) --no-print-directory test-engine
	@$(MAKE) --no-print-directory test-nodes

# With `+` its progress shows at once, and not when all is built.
tools: $(UP_STAMP)
	+$(TIMED) $(PYTHON_RUN) -m local.tools.supply --without dragonfly-client dragonfly

test-unit: $(TEST_STAMP) ## Tests with mocks.
	$(TIMED) $(PYTHON_RUN) -m pytest tests/program tests/policy tests/local tests/project

test-scripts: $(TEST_STAMP) ## Tests of the scripts that containers run, by real shells.
	$(TIMED) $(PYTHON_RUN) -m pytest tests/scripts --numprocesses $(TEST_WORKERS)

test-engine: $(TEST_STAMP) $(POLICY_STAMP) ## Tests with the real engine on a real API server.
	$(TIMED) $(PYTHON_RUN) -m pytest tests/engine --numprocesses $(TEST_WORKERS) --dist loadscope --no-loadscope-reorder

# They wait for much else than processors: those of 2.5, which wait for its client too, run beside the others. In `make
# test` there is a pool of jobs already; a pool inside a pool is warned of.
test-nodes: $(TEST_STAMP) ## Tests with real containers; needs root, and tells what else is missing.
	@$(MAKE) --no-print-directory $(if $(filter --jobserver%,$(MAKEFLAGS)),,--jobs=2) test-nodes-of-2.5 test-nodes-of-others

test-nodes-of-2.5: $(TEST_STAMP)
	$(TIMED) $(NODE_TESTS) -m needs_client

test-nodes-of-others: $(TEST_STAMP)
	$(TIMED) $(NODE_TESTS) -m "not needs_client"

# The lists may be old and the packages there all the same.
package-lists:
	@apt-get update --quiet=2 || echo "Debian's package lists could not be renewed" >&2

# The nodes cover this folder, which Ubuntu's containerd comes without.
node-packages: package-lists ## Install what NODES=containers needs from Debian; needs root.
	$(APT_INSTALL) $$(cat local/nodes/containers/debian-packages.txt)
	mkdir -p /etc/containerd

client-packages: package-lists ## Install what `make client` needs from Debian, but Rust; needs root.
	$(APT_INSTALL) $$(cat local/tools/building/debian-packages.txt)

test-packages: package-lists ## Install what some tests need besides from Debian; needs root.
	$(APT_INSTALL) $$(cat tests/debian-packages.txt)

# For an hour, on all processors; nice, so that it stands back behind whatever else runs.
mutate: $(TEST_STAMP) ## Break every deliberate value of the program once, and list which unit test notices; not in CI.
	@nice $(PYTHON_RUN) -m tests.mutation

SHELL_SCRIPTS := .ci/run local/install-packages local/images/files/*-entrypoint local/standins/plugins/stand-in \
	local/standins/plugins/cloud-commands/* dragonfly/scripts/*.sh

# SC2016 takes what an inner shell is to expand for a mistake.
lint: $(TEST_STAMP) $(POLICY_STAMP) ## Style, types, shell scripts and workflows.
	$(TIMED) { .venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/basedpyright --level error && \
		.venv/bin/basedpyright --level error --project policy && \
		.venv/bin/shellcheck --exclude=SC2016 $(SHELL_SCRIPTS) && $(PYTHON_RUN) -m local.tools.workflow_lint; }

# All is pinned: there is nothing to resolve. Of lists that are not called requirements it must be told; environments and
# caches are in .gitignore, which it reads. It may want a newer Go than the tools.
audit: ## Look for known vulnerabilities in all that is pinned; needs Go and a network, runs weekly.
	@GOTOOLCHAIN=auto go run github.com/google/osv-scanner/v2/cmd/osv-scanner@v2.6.0 scan source --recursive --no-resolve \
		--lockfile requirements.txt:constraints.txt --lockfile requirements.txt:local/uv.txt .

format: $(TEST_STAMP) ## Bring the code into its format.
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

diagram: $(TEST_STAMP) ## Draw the README's picture anew from the program.
	@$(PYTHON_RUN) -m tests.program.recorded.architecture_diagram

line-table: $(TEST_STAMP) ## Write the table of docs/dragonfly-2.5.md anew from what the program declares.
	@$(PYTHON_RUN) -m tests.program.recorded.line_table

metrics-table: $(TEST_STAMP) ## Write the tables of docs/metrics.md anew from what the program declares.
	@$(PYTHON_RUN) -m tests.program.recorded.metrics_table

reach-table: $(TEST_STAMP) ## Write the table of docs/network-policies.md anew from what the program declares.
	@$(PYTHON_RUN) -m tests.program.recorded.reach_table

picture: $(TEST_STAMP) ## Draw the terminal of docs/local-cluster.md anew, from a `make up` after `make down`.
	@$(PYTHON_RUN) -m tests.program.recorded.terminal_picture

# For ten minutes, with real containers: needs root.
pictures: $(TEST_STAMP) ## Draw docs/dashboard.svg anew, from an installation through which nodes pull; not in CI.
	@BUILD_CLIENT=yes $(PYTHON_RUN) -m pytest tests/nodes/panel_pictures.py

declarations: $(TEST_STAMP) ## Write the files of what the program declares; their diff shows what a change does.
	@$(PYTHON_RUN) -m tests.program.recorded.declarations

# For a quarter of an hour.
config-table: $(TEST_STAMP) ## Write docs/config-changes.md anew, from previews of every change of the config; not in CI.
	@$(PYTHON_RUN) -m tests.config_table

clean: ## End what runs here and remove what was made here; built tools stay in the cache.
	@if [ -x $(PYTHON_RUN) ] && [ -d .local ]; then $(LOCAL) stop; fi
	rm -rf .local .venv policy/venv

$(UP_STAMP): requirements.txt constraints.txt local/requirements.txt local/uv.txt local/install-packages
	@local/install-packages local/requirements.txt
	@touch $@

$(TEST_STAMP): tests/requirements.txt $(UP_STAMP)
	@local/install-packages tests/requirements.txt
	@touch $@

$(POLICY_STAMP): policy/requirements.txt local/uv.txt local/install-packages
	@local/install-packages --into policy/venv policy/requirements.txt
	@touch $@
