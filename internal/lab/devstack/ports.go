package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// ports are kept in the data folder, so that an address written down yesterday
// works today unless somebody else took it in between.
type ports struct {
	Postgres  int `json:"postgres"`
	AMQP      int `json:"amqp"`
	Dist      int `json:"dist"`
	Epmd      int `json:"epmd"`
	BrokerAPI int `json:"broker_api"`
	// Of a cluster only.
	Standby int                `json:"standby,omitempty"`
	Peers   [peers]brokerPorts `json:"peers,omitzero"`
}

// brokerPorts are those of a node after the first.
type brokerPorts struct {
	AMQP      int `json:"amqp"`
	Dist      int `json:"dist"`
	BrokerAPI int `json:"broker_api"`
}

// of are the ports of a node, counted from 0.
func (p ports) of(node int) brokerPorts {
	if node == 0 {
		return brokerPorts{AMQP: p.AMQP, Dist: p.Dist, BrokerAPI: p.BrokerAPI}
	}
	return p.Peers[node-1]
}

// wanted are those that a stack listens on.
func (p *ports) wanted(cluster bool) []*int {
	all := []*int{&p.Postgres, &p.AMQP, &p.Dist, &p.Epmd, &p.BrokerAPI}
	if !cluster {
		return all
	}
	all = append(all, &p.Standby)
	for i := range p.Peers {
		all = append(all, &p.Peers[i].AMQP, &p.Peers[i].Dist, &p.Peers[i].BrokerAPI)
	}
	return all
}

// The range lies below the one from which systems take ports for outgoing
// connections: a service that is down for a moment must not find its port used
// by a client, least of all by one that is trying to reach it.
const firstPort, lastPort = 20000, 32000

func choosePorts(ctx context.Context, dir string, cluster bool) (ports, error) {
	file := filepath.Join(dir, "ports.json")
	var chosen ports
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &chosen); err != nil {
			chosen = ports{}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return ports{}, fmt.Errorf("read ports: %w", err)
	}
	taken := map[int]bool{}
	for _, port := range chosen.wanted(cluster) {
		for try := 0; *port == 0 || taken[*port] || !PortFree(ctx, "127.0.0.1", *port) || reserved(*port); try++ {
			if try == 1000 {
				return ports{}, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
			}
			*port = firstPort + rand.IntN(lastPort-firstPort)
		}
		taken[*port] = true
	}
	text, err := json.Marshal(chosen)
	if err != nil {
		return ports{}, fmt.Errorf("write ports: %w", err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return ports{}, fmt.Errorf("write ports: %w", err)
	}
	return chosen, nil
}

// PortFree says whether a server could listen on host:port now.
func PortFree(ctx context.Context, host string, port int) bool {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// FreePort returns a port of the same range that nobody listens on. Until this
// process ends nobody else is given it: whoever is to listen there is often only
// being started, and a dozen test binaries draw ports at once.
func FreePort(ctx context.Context) (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !PortFree(ctx, "127.0.0.1", port) {
			continue
		}
		if _, err := reserve(port); !errors.Is(err, ErrInUse) {
			return port, nil // Where nothing can be locked the draw must do.
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// FreeAddress is a [FreePort] on the loopback address, host:port.
func FreeAddress(ctx context.Context) (string, error) {
	port, err := FreePort(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// reserve keeps a port for this process; the kernel ends it with the process.
func reserve(port int) (release func(), err error) {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("payonce-ports-%d", os.Geteuid()))
	if err := ownFolder(folder); err != nil {
		return nil, err
	}
	return Lock(filepath.Join(folder, strconv.Itoa(port)))
}

// reserved says whether a port was given to somebody who may not listen yet.
func reserved(port int) bool {
	release, err := reserve(port)
	if err == nil {
		release()
	}
	return errors.Is(err, ErrInUse)
}
