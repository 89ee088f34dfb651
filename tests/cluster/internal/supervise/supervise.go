// Package supervise is the cluster's first process: it starts every program
// when what it needs is ready, starts it again when it dies, and tells over a
// Unix socket how each of them is.
package supervise

import (
	"context"
	"log"
	"os"
	"sync"
	"time"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/programs"
)

// Supervisor holds all programs of one cluster.
type Supervisor struct {
	cluster   layout.Cluster
	mutex     sync.Mutex
	processes []*process
	started   chan struct{} // wakes the reaper
	repair    chan struct{} // closed, and replaced, when failed programs get another chance
}

// Run starts everything and never returns unless it fails: the supervisor ends
// by being killed, and the kernel cleans up behind it.
func Run(cluster layout.Cluster) error {
	all, err := programs.For(cluster)
	if err != nil {
		return err
	}
	s := &Supervisor{cluster: cluster, started: make(chan struct{}, 1), repair: make(chan struct{})}
	for _, program := range all {
		s.processes = append(s.processes, &process{Program: program, state: Waiting})
	}
	listener, err := listen(cluster)
	if err != nil {
		return err
	}
	go s.reap()
	for _, p := range s.processes {
		go s.keep(p)
	}
	return s.serve(listener)
}

// keep runs one program for ever: start, wait until ready, wait for its end.
func (s *Supervisor) keep(p *process) {
	for {
		s.await(p.Needs)
		ended, repair := s.start(p)
		if ended == nil {
			<-repair
			continue
		}
		if !p.Once {
			go s.watchReady(p, ended)
		}
		<-ended
		if p.Once && p.exit.ExitStatus() == 0 {
			s.setState(p, Ready)
			return
		}
		log.Printf("%s ended: %s", p.Name, p.lastExit)
		s.setState(p, Waiting)
	}
}

// start returns a channel that closes when the program ends, or, if it could
// not be started or has ended too often, one that closes when it may try again.
func (s *Supervisor) start(p *process) (ended, repair chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !p.mayStart(time.Now()) {
		log.Printf("%s ended %d times within %s, last with %s: left alone", p.Name, restartLimit, restartWindow, p.lastExit)
		p.state = Failed
		return nil, s.repair
	}
	if p.lastExit != "" {
		p.restarts++
	}
	if err := p.start(os.Environ(), s.cluster.Log(p.Name)); err != nil {
		log.Print(err)
		p.state, p.lastExit = Failed, err.Error()
		return nil, s.repair
	}
	select {
	case s.started <- struct{}{}:
	default:
	}
	return p.ended, nil
}

// watchReady asks the program until it says yes, and then goes on asking, since
// a program that hangs does not end.
func (s *Supervisor) watchReady(p *process, ended chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		interval, state := 50*time.Millisecond, Starting
		if p.Ready(ctx) == nil {
			interval, state = time.Second, Ready
		}
		s.mutex.Lock()
		select {
		case <-ended:
			s.mutex.Unlock()
			return
		default:
			p.state = state
		}
		s.mutex.Unlock()
		select {
		case <-ended:
			return
		case <-time.After(interval):
		}
	}
}

func (s *Supervisor) setState(p *process, state State) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	p.state = state
}

// await returns when all the named programs are ready.
func (s *Supervisor) await(names []string) {
	for !s.allReady(names) {
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Supervisor) allReady(names []string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, name := range names {
		for _, p := range s.processes {
			if p.Name == name && p.state != Ready {
				return false
			}
		}
	}
	return true
}
