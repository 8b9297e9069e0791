# A real Kubernetes on this machine (test/cluster/README.md). VAR=dir moves its files, var/cluster unless given.
cluster_var = $(if $(filter command environment,$(origin VAR)),$(VAR),var/cluster)

.PHONY: cluster cluster-down cluster-test cluster-thin
cluster: install ## bring up a Kubernetes of one node with Postfleet's images (first time up to 20 minutes)
	@VAR='$(cluster_var)' bash test/cluster/up.sh

cluster-down: ## stop that Kubernetes and remove its files
	@VAR='$(cluster_var)' bash test/cluster/down.sh

# Scenarios are named after what they show: SCENARIO=from-nothing runs that one.
cluster_scenarios = $(if $(SCENARIO),test/cluster/$(SCENARIO).test.ts,$(filter-out %/thin.test.ts,$(wildcard test/cluster/*.test.ts)))

cluster-test: cluster ## what must hold on that cluster: install, scale, kill, change; SCENARIO=NAME for one
	@VAR='$(cluster_var)' node --test --test-reporter=spec --test-concurrency=1 $(cluster_scenarios)

cluster-thin: cluster ## mail through plain manifests on it, while one pod of each kind is deleted
	@VAR='$(cluster_var)' node --test --test-reporter=spec test/cluster/thin.test.ts

# The state that it removes holds the cluster's files too.
clean: cluster-down
