package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"syscall"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/parts"
	"payonce/internal/platform/httpserver"
)

// openDoor lets the apis of a cluster tell which parts there are, and kill one.
func (d *demo) openDoor(ctx context.Context) error {
	if !d.cfg.Cluster {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.addr.parts)
	if err != nil {
		return fmt.Errorf("the parts' door: %w", err)
	}
	server := httpserver.New(parts.Handler(d, d.kept.OperatorToken), httpserver.Limits{}, nil)
	d.supervisor.watchers.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.say("the parts' door: " + err.Error())
		}
	})
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return nil
}

// Parts implements parts.House.
func (d *demo) Parts() []parts.Part {
	list := []parts.Part{}
	for _, name := range d.cfg.replicas("api", "relay", "worker") {
		list = append(list, d.part(name, binary(name), ""))
	}
	list = append(list, d.part(devstack.RolePrimary, "postgres", "primary"), d.part(devstack.RoleStandby, "postgres", "standby"))
	for _, node := range d.stack.Nodes {
		list = append(list, d.part(node.Name, "rabbitmq", ""))
	}
	return list
}

func (d *demo) part(name, of, role string) parts.Part {
	state := "down"
	if process := d.supervisor.process(name); process != nil && process.Running() {
		state = "up"
	}
	return parts.Part{Name: name, Of: of, Role: role, State: state}
}

// Kill implements parts.House.
func (d *demo) Kill(name string) bool {
	if !slices.ContainsFunc(d.Parts(), func(p parts.Part) bool { return p.Name == name }) {
		return false
	}
	process := d.supervisor.process(name)
	return process != nil && process.Running() && process.Signal(syscall.SIGKILL) == nil
}
