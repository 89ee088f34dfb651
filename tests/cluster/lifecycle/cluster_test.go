package lifecycle

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is one that a test runs commands on, as people do.
type cluster struct {
	t    *testing.T
	name string
}

// script runs one of the scripts in tests/cluster and returns what it printed.
func (c cluster) script(script string, args ...string) string {
	c.t.Helper()
	output, err := c.try(script, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", script, strings.Join(args, " "), err, output)
	}
	return output
}

func (c cluster) try(script string, args ...string) (string, error) {
	command := exec.Command(filepath.Join("..", script), args...)
	command.Env = append(os.Environ(), "CLUSTER="+c.name, "KUBECONFIG=")
	output, err := command.CombinedOutput()
	return string(output), err
}

func (c cluster) up(tier string) {
	c.t.Helper()
	c.t.Setenv("TIER", tier)
	c.script("run", "up")
}

// program is a line of `run status`.
type program struct {
	name, state string
	pid         int
}

func (c cluster) programs() (all []program) {
	c.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(c.script("run", "status")), "\n")[2:] {
		fields := strings.Fields(line)
		pid, err := strconv.Atoi(fields[2])
		if err != nil {
			c.t.Fatalf("a process id is missing in %q", line)
		}
		all = append(all, program{fields[0], fields[1], pid})
	}
	return all
}

func (c cluster) pid(name string) int {
	c.t.Helper()
	for _, program := range c.programs() {
		if program.name == name {
			return program.pid
		}
	}
	c.t.Fatalf("cluster %s has no program %s", c.name, name)
	return 0
}

// kill ends a program, and returns when it has ended: a large one takes its
// time, and whoever asks before that is told that it runs.
func (c cluster) kill(pid int) {
	c.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !hasEnded(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("process %d does not end", pid)
		}
	}
}

// hasEnded is true of a process that is gone, or that only its parent's leave keeps.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}
