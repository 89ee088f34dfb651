package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/vishvananda/netlink"

	"visnyk.dev/cluster/internal/layout"
)

// prepareNetwork gives the new network namespace loopback and a node address.
// There is no default route: whatever is neither node, pod nor Service is
// unreachable at once, and no packet can leave the machine.
func prepareNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("look for the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("start the loopback device: %w", err)
	}
	// A bridge without ports carries the node's address: not every kernel has a
	// dummy device, and an address on lo would not be taken for the node's.
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "node0"
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge node0: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(layout.NodeIP), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give node0 the address %s: %w", layout.NodeIP, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("start node0: %w", err)
	}
	// kube-proxy rewrites a Service's address only after the kernel has found a
	// route for it.
	_, services, err := net.ParseCIDR(layout.ServiceCIDR)
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: bridge.Index, Dst: services, Src: net.ParseIP(layout.NodeIP)}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("route %s to node0: %w", layout.ServiceCIDR, err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("forward between pods: %w", err)
	}
	return refuseWhatNoServiceTakes()
}

// refuseWhatNoServiceTakes refuses at once what is still bound for a Service's
// address where kube-proxy has had its turn. When a Service gets its first pod,
// kube-proxy takes its refusal away a moment before it leads to the pod: what
// comes between them would wait on node0 for an answer to ARP that nobody
// gives, and fail with "no route to host" three seconds later.
func refuseWhatNoServiceTakes() error {
	for _, chain := range []string{"OUTPUT", "FORWARD"} {
		refuse := exec.Command("iptables", "--wait", "--append", chain, "--destination", layout.ServiceCIDR, "--jump", "REJECT")
		if output, err := refuse.CombinedOutput(); err != nil {
			return fmt.Errorf("refuse in %s what no Service takes: %w\n%s", chain, err, output)
		}
	}
	return nil
}
