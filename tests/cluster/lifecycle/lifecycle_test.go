// Package lifecycle tests what `make cluster-up` and `make cluster-down`
// promise, from outside: with the scripts people use, and with kill.
//
// `make test-cluster` starts the cluster named by $CLUSTER and runs this; the
// last test ends it.
package lifecycle

import (
	"os"
	"strings"
	"testing"
)

func own(t *testing.T) cluster {
	name := os.Getenv("CLUSTER")
	if name == "" {
		t.Skip("run by make test-cluster, which names the cluster it may break")
	}
	return cluster{t, name}
}

func TestUpChangesNothingOnAClusterThatRuns(t *testing.T) {
	c := own(t)
	before := c.programs()
	c.up("node")
	after := c.programs()
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("%v has become %v", before[i], after[i])
		}
	}
}

func TestUpRepairsAClusterAfterAnyProgramIsKilled(t *testing.T) {
	c := own(t)
	for _, killed := range c.programs() {
		if killed.pid == 0 || killed.name == "supervisor" {
			continue // a task that has ended; the supervisor has a test of its own
		}
		t.Run(killed.name, func(t *testing.T) {
			c := cluster{t, c.name}
			c.kill(c.pid(killed.name))
			c.up("node")
			for _, now := range c.programs() {
				if now.state != "ready" || (now.name == killed.name && now.pid == killed.pid) {
					t.Errorf("after %s was killed, %s is %s with process %d", killed.name, now.name, now.state, now.pid)
				}
			}
			c.script("kubectl", "get", "--raw", "/readyz")
		})
	}
}

func TestUpRebuildsAClusterWhoseSupervisorIsKilledAndKeepsItsObjects(t *testing.T) {
	c := own(t)
	c.script("kubectl", "create", "configmap", "kept", "--from-literal=key=value")
	supervisor := c.pid("supervisor")
	c.kill(supervisor)
	c.up("node")
	if c.pid("supervisor") == supervisor {
		t.Error("the supervisor is still the one that was killed")
	}
	if value := c.script("kubectl", "get", "configmap", "kept", "-o", "jsonpath={.data.key}"); value != "value" {
		t.Errorf("the object kept through the restart holds %q", value)
	}
	c.script("kubectl", "wait", "--for=condition=Ready", "node/node-1", "--timeout=60s")
}

func TestTwoClustersRunSideBySide(t *testing.T) {
	first := own(t)
	second := cluster{t, first.name + "-2"}
	t.Cleanup(func() { second.script("run", "down") })
	second.up("control-plane")
	second.script("kubectl", "create", "namespace", "only-here")
	if output, err := first.try("kubectl", "get", "namespace", "only-here"); err == nil {
		t.Errorf("the first cluster shows what was made in the second:\n%s", output)
	}
	second.script("run", "down")
	if left := leftovers(t, second.name); len(left) > 0 {
		t.Errorf("left of the second cluster: %s", strings.Join(left, ", "))
	}
	first.script("kubectl", "get", "--raw", "/readyz")
}

func TestEnterSeesServicesByNameAndWrappersSayWhenThereIsNoCluster(t *testing.T) {
	c := own(t)
	c.script("enter", "getent", "hosts", "kubernetes.default.svc")
	none := cluster{t, "never-started"}
	for _, script := range []string{"kubectl", "helm", "enter"} {
		output, err := none.try(script, "version")
		if err == nil || !strings.Contains(output, "make cluster-up CLUSTER=never-started") {
			t.Errorf("%s without a cluster: %v, %s", script, err, output)
		}
	}
}

func TestAnAddressThatNoServiceHasRefusesNodesAndPodsAtOnce(t *testing.T) {
	c := own(t)
	const address = "10.96.255.254"
	refused := func(from, output string) {
		t.Helper()
		if !strings.Contains(output, "Connection refused") {
			t.Errorf("from the %s: %s", from, output)
		}
	}
	output, _ := c.try("enter", "bash", "-c", "</dev/tcp/"+address+"/80")
	refused("node", output)
	c.script("kubectl", "run", "caller", "--image=localhost/visnyk-test-workload:dev", "--restart=Never",
		"--", "call", "GET", address+":80", "/")
	c.script("kubectl", "wait", "--for=jsonpath={.status.phase}=Failed", "pod/caller", "--timeout=60s")
	refused("pod", c.script("kubectl", "logs", "caller"))
	c.script("kubectl", "delete", "pod", "caller")
}

func TestDownLeavesNothingOfAClusterWithPodsAndVolumes(t *testing.T) {
	c := own(t)
	c.script("kubectl", "create", "namespace", "busy")
	c.script("kubectl", "apply", "--namespace=busy", "-f", "testdata/busy.yaml")
	c.script("kubectl", "rollout", "status", "--namespace=busy", "statefulset/busy", "--timeout=120s")
	if left := leftovers(t, c.name); len(left) < 4 {
		t.Fatalf("a running cluster should show processes, cgroups, loop devices and a folder, not only: %s", strings.Join(left, ", "))
	}
	c.script("run", "down")
	if left := leftovers(t, c.name); len(left) > 0 {
		t.Errorf("left of the cluster: %s", strings.Join(left, ", "))
	}
}
