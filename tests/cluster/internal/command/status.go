package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/sandbox"
	"visnyk.dev/cluster/internal/supervise"
)

// open finds a cluster that runs.
func open(folder string) (layout.Cluster, error) {
	c, err := layout.Open(folder)
	if errors.Is(err, os.ErrNotExist) || (err == nil && sandbox.Supervisor(c) == 0) {
		return c, fmt.Errorf("no cluster runs in %s: make cluster-up starts one", folder)
	}
	return c, err
}

// status prints one line for each program, with the id the machine knows it by.
func status(ctx context.Context, folder string) error {
	c, err := open(folder)
	if err != nil {
		return err
	}
	programs, err := supervise.Ask(ctx, c)
	if err != nil {
		return err
	}
	outside := sandbox.OutsidePids(c)
	fmt.Printf("cluster %s: Kubernetes %s, tier %s, %s\n", c.Name, c.Kubernetes, c.Tier, c.Folder)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROGRAM\tSTATE\tPID\tRESTARTS\tLAST EXIT")
	fmt.Fprintf(table, "supervisor\tready\t%d\t0\t\n", sandbox.Supervisor(c))
	for _, program := range programs {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", program.Name, program.State, outside[program.Pid], program.Restarts, program.LastExit)
	}
	return table.Flush()
}
