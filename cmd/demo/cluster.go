package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
)

// replicas are the names of those programs of which there are several, the first
// under its own.
func (c config) replicas(programs ...string) (names []string) {
	for _, name := range programs {
		names = append(names, name)
		if c.Cluster {
			names = append(names, name+"-2")
		}
	}
	return names
}

// binary is the program that a replica is.
func binary(name string) string {
	program, _, _ := strings.Cut(name, "-")
	return program
}

// superviseStack starts again what dies of the services.
func (d *demo) superviseStack(ctx context.Context) {
	for _, node := range d.stack.Nodes {
		d.supervisor.watch(ctx, part{name: node.Name, start: node.Again}, node.Process())
	}
	if len(d.stack.Nodes) > 1 {
		d.supervisor.watchers.Go(func() { d.stack.KeepWhole(ctx, d.say) })
	}
	switch {
	case d.stack.Pair != nil:
		d.supervisePair(ctx, d.stack.Pair)
	case !d.stack.Postgres.External():
		d.supervisor.watch(ctx, part{name: d.stack.Postgres.Name, start: d.stack.Postgres.Again}, d.stack.Postgres.Process())
	}
}

// supervisePair lets the standby take over from a primary that dies. In run.json
// the two go by what they are now: the pid of postgres is always the primary's.
func (d *demo) supervisePair(ctx context.Context, pair *devstack.Pair) {
	d.supervisor.set(devstack.RolePrimary, pair.Primary().Process())
	d.supervisor.set(devstack.RoleStandby, pair.Standby().Process())
	keeper := devstack.PairKeeper{
		Ended: func(role string, process *proc.Process) {
			d.say(fmt.Sprintf("%s (pid %d) %s, restarting", role, process.Pid(), process.Ending()))
			d.supervisor.set(role, nil)
		},
		Back: func(role string, process *proc.Process, took time.Duration) {
			if role == devstack.RolePrimary && d.supervisor.process(devstack.RoleStandby) == process {
				d.supervisor.promoted(devstack.RoleStandby, role)
				d.say(fmt.Sprintf("the standby (pid %d) is the primary after %.1f s", process.Pid(), took.Seconds()))
				return
			}
			d.supervisor.set(role, process)
			d.say(fmt.Sprintf("%s (pid %d) is back after %.1f s", role, process.Pid(), took.Seconds()))
		},
		Failed: func(role string, err error) { d.say(fmt.Sprintf("%s does not start, trying again: %v", role, err)) },
	}
	d.supervisor.watchers.Go(func() { pair.Keep(ctx, keeper) })
}
