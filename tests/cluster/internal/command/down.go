package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/sandbox"
)

// down ends the cluster and removes all there is of it.
func down(ctx context.Context, folder string) error {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := lock(folder)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := layout.Open(folder)
	if errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(folder) // nothing was ever started
	}
	if err != nil {
		return err
	}
	if visitors := sandbox.Visitors(c); len(visitors) > 0 {
		fmt.Fprintf(os.Stderr, "still in the cluster's network, which stays until they end: %s\n", strings.Join(visitors, ", "))
	}
	if err := sandbox.Stop(ctx, c); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove the cluster's folder: %w", err)
	}
	fmt.Printf("cluster %s is gone\n", c.Name)
	return nil
}
