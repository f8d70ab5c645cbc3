package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"payonce/internal/platform/httpserver"
)

// What holds where nothing is set. Each of these numbers stands here only, or in
// package httpserver; the tags below, package httpapi and docs/security.md have it
// from there.
const (
	DefaultRate         = 200
	DefaultBurst        = 1000
	DefaultSandboxRate  = 2
	DefaultSandboxBurst = 300
	DefaultStreams      = 100
)

// Doors bound what one address, and one sandbox, may ask for.
type Doors struct {
	Rate         float64  `help:"Requests a second of one address, and of one sandbox; below 0: no limit." default:"${rate}" env:"PAYONCE_RATE"`
	Burst        int      `help:"How many requests either may send at once." default:"${burst}" env:"PAYONCE_BURST"`
	SandboxRate  float64  `help:"New sandboxes a second of one address; below 0: no limit." default:"${sandbox_rate}" env:"PAYONCE_SANDBOX_RATE"`
	SandboxBurst int      `help:"How many sandboxes an address may make at once." default:"${sandbox_burst}" env:"PAYONCE_SANDBOX_BURST"`
	Connections  int      `help:"Connections of one address at a time; below 0: no limit. A /64 of IPv6 is one address." default:"${connections}" env:"PAYONCE_CONNECTIONS"`
	Streams      int      `help:"Live streams of one address at a time; below 0: no limit." default:"${streams}" env:"PAYONCE_STREAMS"`
	Hosts        []string `help:"More names by which the api is reached, beside the public URL's host, addresses and localhost: others are answered 421." env:"PAYONCE_HOSTS" sep:"," placeholder:"api"`
	// TrustedProxies are those whose word is taken for a client's address.
	TrustedProxies []string `help:"Networks of proxies in front of the api: their X-Forwarded-For names the client, and their connections are not bounded." env:"PAYONCE_TRUSTED_PROXIES" sep:"," placeholder:"10.0.0.0/8"`
}

// Defaults are the values of the tags' ${names}.
func Defaults() map[string]string {
	return map[string]string{
		"default_secret": DefaultSecret, "default_webhook_secret": DefaultWebhookSecret,
		"rate": strconv.Itoa(DefaultRate), "burst": strconv.Itoa(DefaultBurst),
		"sandbox_rate": strconv.Itoa(DefaultSandboxRate), "sandbox_burst": strconv.Itoa(DefaultSandboxBurst),
		"connections": strconv.Itoa(httpserver.DefaultConnections), "streams": strconv.Itoa(DefaultStreams),
	}
}

// Proxies are the trusted networks. What cannot be read was refused at start.
func (d *Doors) Proxies() (networks []*net.IPNet) {
	for _, one := range d.TrustedProxies {
		if network, err := network(one); err == nil {
			networks = append(networks, network)
		}
	}
	return networks
}

// network reads a network, or an address as a network of one.
func network(s string) (*net.IPNet, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		s = netip.PrefixFrom(a, a.BitLen()).String()
	}
	_, n, err := net.ParseCIDR(s)
	return n, err
}

func (d *Doors) check() (e []error) {
	for _, one := range d.TrustedProxies {
		if _, err := network(one); err != nil {
			e = append(e, fmt.Errorf("PAYONCE_TRUSTED_PROXIES: %q is no address and no network like 10.0.0.0/8", one))
		}
	}
	for name, n := range map[string]int{
		"PAYONCE_BURST": d.Burst, "PAYONCE_SANDBOX_BURST": d.SandboxBurst, "PAYONCE_CONNECTIONS": d.Connections, "PAYONCE_STREAMS": d.Streams,
	} {
		if n == 0 {
			e = append(e, fmt.Errorf("%s: 0 would let nobody in", name))
		}
	}
	for name, n := range map[string]float64{"PAYONCE_RATE": d.Rate, "PAYONCE_SANDBOX_RATE": d.SandboxRate} {
		if n == 0 {
			e = append(e, fmt.Errorf("%s: 0 would let nobody in twice", name))
		}
	}
	return e
}
