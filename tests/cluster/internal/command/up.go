package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/pki"
	"visnyk.dev/cluster/internal/sandbox"
	"visnyk.dev/cluster/internal/supervise"
)

// up makes the wanted cluster run, whatever state it finds: none, a dead one, a
// damaged one, one of the other tier or of an older build.
func up(ctx context.Context, wanted layout.Cluster) error {
	unlock, err := lock(wanted.Folder)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := layout.Open(wanted.Folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// Kubernetes does not promise to read what a newer version has written.
	if err == nil && found.Kubernetes != wanted.Kubernetes {
		return fmt.Errorf("cluster %s runs Kubernetes %s, not %s: end it first (make cluster-down CLUSTER=%[1]s) or choose another name",
			wanted.Name, found.Kubernetes, wanted.Kubernetes)
	}
	began := time.Now()
	switch {
	case sandbox.Supervisor(wanted) != 0 && found == wanted:
		if err := supervise.Repair(ctx, wanted); err != nil {
			return err
		}
	default:
		// Its objects and volumes stay; only its processes are new.
		if err := sandbox.Stop(ctx, wanted); err != nil {
			return err
		}
		if err := wanted.Save(); err != nil {
			return err
		}
		if err := pki.Create(wanted); err != nil {
			return err
		}
		if err := sandbox.Start(wanted); err != nil {
			return err
		}
	}
	if err := awaitReady(ctx, wanted); err != nil {
		return err
	}
	fmt.Printf("cluster %s is ready: Kubernetes %s, tier %s, %.1f s\n",
		wanted.Name, wanted.Kubernetes, wanted.Tier, time.Since(began).Seconds())
	return nil
}

// awaitReady returns when every program is ready, or says which is not, and
// what its log says.
func awaitReady(ctx context.Context, c layout.Cluster) error {
	for {
		if sandbox.Supervisor(c) == 0 {
			return fmt.Errorf("the supervisor of cluster %s has ended; the end of %s:\n%s", c.Name, c.Log("supervisor"), tail(c.Log("supervisor")))
		}
		programs, err := supervise.Ask(ctx, c)
		if err == nil {
			late := ""
			for _, program := range programs {
				if program.State == supervise.Failed || (ctx.Err() != nil && program.State == supervise.Starting) {
					return fmt.Errorf("%s of cluster %s is %s (last end: %s); the end of %s:\n%s", program.Name, c.Name,
						program.State, program.LastExit, c.Log(program.Name), tail(c.Log(program.Name)))
				}
				if program.State != supervise.Ready {
					late = program.Name
				}
			}
			if late == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for cluster %s to be ready: %w; see %s", c.Name, ctx.Err(), c.Path("log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail is the last lines of a log.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(all[max(0, len(all)-15):], "\n")
}
