package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"visnyk.dev/cluster/internal/layout"
)

// OutsidePids translates the process ids that the supervisor knows, which are
// those of its own namespace, to the machine's.
func OutsidePids(c layout.Cluster) map[int]int {
	outside := map[int]int{}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", Supervisor(c)))
	if err != nil {
		return outside
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if in, err := os.Readlink(process + "/ns/pid"); err != nil || in != space {
			continue
		}
		status, err := os.ReadFile(process + "/status")
		if err != nil {
			continue // ended while we looked
		}
		_, after, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ := strings.Cut(after, "\n")
		ids := strings.Fields(line)
		inside, err := strconv.Atoi(ids[len(ids)-1])
		if err != nil {
			continue
		}
		outside[inside], _ = strconv.Atoi(filepath.Base(process))
	}
	return outside
}
