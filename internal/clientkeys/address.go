package clientkeys

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// inward are networks that no server on the Internet is on (the registries of RFC 6890), with those through which an address of
// another kind is reached, and the address at which Azure answers its machines.
var inward = networks(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func networks(texts ...string) (prefixes []netip.Prefix) {
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

// takes reports whether a connection to an address is allowed.
func (a Allowed) takes(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	contains := func(n netip.Prefix) bool { return n.Contains(ip) }
	return ip.IsValid() && (!slices.ContainsFunc(inward, contains) || slices.ContainsFunc(a.Networks, contains) || a.Loopback && ip.IsLoopback())
}

// control is called with the address that a connection is about to be made to, when its name was resolved.
func (a Allowed) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("the address is not an IP address")
	}
	if !a.takes(at.Addr()) {
		return fmt.Errorf("%s is not a public address; jwks_uri_network can allow it", at.Addr())
	}
	return nil
}
