package httpserver

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Ours says whether a Host header names this server: by an address, as localhost,
// or by one of the names. A site whose name was pointed at this machine (DNS
// rebinding) would otherwise be of one origin with what is served here.
func Ours(host string, names []string) bool {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(names, name)
}
