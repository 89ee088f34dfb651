package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"visnyk.dev/cluster/internal/sandbox"
)

// load brings images, as files that `buildah push docker-archive:` writes, to
// the cluster's containerd.
func load(ctx context.Context, folder string, files []string) error {
	c, err := open(folder)
	if err != nil {
		return err
	}
	if !c.RunsPods() {
		return fmt.Errorf("cluster %s is of tier %s: it runs no pods and takes no images", c.Name, c.Tier)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		// Through a pipe: inside, the file may be hidden behind another mount.
		importer := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(sandbox.Supervisor(c)), "--mount",
			c.Program("ctr"), "-n", "k8s.io", "images", "import", "-")
		importer.Stdin = file
		output, err := importer.CombinedOutput()
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("load image %s into cluster %s: %w: %s", name, c.Name, err, output)
		}
		fmt.Print(string(output))
	}
	return nil
}
