package sandbox

import (
	"fmt"
	"os"

	"visnyk.dev/cluster/internal/layout"
)

// Prepare furnishes the room from inside, before any program is started.
func Prepare(c layout.Cluster) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("supervise is started by `up`, in namespaces of its own, and by nobody else")
	}
	if err := prepareMounts(c); err != nil {
		return err
	}
	if err := prepareNetwork(); err != nil {
		return err
	}
	if !c.RunsPods() {
		return nil
	}
	return createCgroups(c.CgroupParent())
}
