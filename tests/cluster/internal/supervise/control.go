package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"visnyk.dev/cluster/internal/layout"
)

// Status is how one program is.
type Status struct {
	Name     string `json:"name"`
	State    State  `json:"state"`
	Pid      int    `json:"pid"` // in the cluster's own process namespace
	Restarts int    `json:"restarts"`
	LastExit string `json:"lastExit,omitempty"`
}

func socket(c layout.Cluster) string { return c.Path("control.sock") }

func listen(c layout.Cluster) (net.Listener, error) {
	// Left behind by a supervisor that was killed, as all of them are.
	if err := os.Remove(socket(c)); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", socket(c))
}

func (s *Supervisor) serve(listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /repair", func(w http.ResponseWriter, _ *http.Request) {
		s.repairFailed()
		_ = json.NewEncoder(w).Encode(s.status())
	})
	return http.Serve(listener, mux)
}

func (s *Supervisor) status() (all []Status) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, p := range s.processes {
		all = append(all, Status{Name: p.Name, State: p.state, Pid: p.pid, Restarts: p.restarts, LastExit: p.lastExit})
	}
	return all
}

// repairFailed gives every failed program a fresh set of starts.
func (s *Supervisor) repairFailed() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, p := range s.processes {
		if p.state == Failed {
			p.state, p.starts = Waiting, nil
		}
	}
	close(s.repair)
	s.repair = make(chan struct{})
}

// Ask reads the state of all programs from a running supervisor.
func Ask(ctx context.Context, c layout.Cluster) ([]Status, error) {
	return request(ctx, c, http.MethodGet, "/status")
}

// Repair has the supervisor try its failed programs again.
func Repair(ctx context.Context, c layout.Cluster) error {
	_, err := request(ctx, c, http.MethodPost, "/repair")
	return err
}

func request(ctx context.Context, c layout.Cluster, method, path string) ([]Status, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket(c))
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	ask, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(ask)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor of cluster %s: %w", c.Name, err)
	}
	defer answer.Body.Close()
	var all []Status
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("read the supervisor's answer: %w", err)
	}
	return all, nil
}
