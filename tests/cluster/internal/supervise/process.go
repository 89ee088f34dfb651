package supervise

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"visnyk.dev/cluster/internal/programs"
)

// A program that dies comes back at once, but one that dies this often within
// this time is broken: it stays down and is shown as failed.
const (
	restartLimit  = 5
	restartWindow = time.Minute
)

// State of a program, as `status` shows it.
type State string

// In the order a program passes through them.
const (
	Waiting  State = "waiting"  // for what it needs
	Starting State = "starting" // runs, is not ready yet
	Ready    State = "ready"    // or, for a task that runs once, done
	Failed   State = "failed"   // died too often
)

// process is one program and what has become of it. The supervisor's mutex
// guards all that changes.
type process struct {
	programs.Program
	state    State
	pid      int
	ended    chan struct{} // closed when this pid has ended
	exit     syscall.WaitStatus
	lastExit string
	starts   []time.Time // within the restart window
	restarts int
}

// start runs the program. Called with the mutex held, so that the reaper cannot
// hear of the end of a process before it has heard of its start.
func (p *process) start(environment []string, logFile string) error {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer nothing.Close()
	// Not os/exec: it waits for its child, and here only the reaper waits.
	pid, err := syscall.ForkExec(p.Path, append([]string{p.Path}, p.Args...), &syscall.ProcAttr{
		Dir:   "/",
		Env:   environment,
		Files: []uintptr{nothing.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Path, err)
	}
	p.pid, p.state, p.ended = pid, Starting, make(chan struct{})
	return nil
}

// mayStart notes one more start, unless there have been too many.
func (p *process) mayStart(now time.Time) bool {
	recent := p.starts[:0]
	for _, start := range p.starts {
		if now.Sub(start) < restartWindow {
			recent = append(recent, start)
		}
	}
	p.starts = recent
	if len(p.starts) >= restartLimit {
		return false
	}
	p.starts = append(p.starts, now)
	return true
}

// reap waits for every child, ours and the orphans of the shims, for ever: that
// is a first process's duty.
func (s *Supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err == unix.ECHILD {
			<-s.started // nothing to wait for until something is started
			continue
		}
		s.mutex.Lock()
		for _, p := range s.processes {
			if p.pid == pid {
				p.pid, p.exit, p.lastExit = 0, status, describe(status)
				close(p.ended)
			}
		}
		s.mutex.Unlock()
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
