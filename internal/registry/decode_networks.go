package registry

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// networks refuses an empty list: to a Client it is every network, the contrary of what was written.
func (d *decoder) networks(n *node) []netip.Prefix {
	networks := make([]netip.Prefix, 0, len(n.children))
	for item := range d.items(n, "networks") {
		text := d.text(item, "a network")
		if item.kind != stringKind {
			continue
		}
		network, err := parseNetwork(text)
		if err != nil {
			d.problems.add(item.at, "a network: %v", err)
			continue
		}
		if slices.Contains(networks, network) {
			d.problems.add(item.at, "duplicate network %s", network)
		}
		networks = append(networks, network)
	}
	d.notEmpty(n, "networks")
	return networks
}

// parseNetwork reads a prefix in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), or an address, which
// is a network of its own. It takes one spelling of each: bits behind the prefix length are often a
// slip in the length, and an IPv4 address within IPv6 would be compared with none, for those of
// requests are turned into IPv4. Its errors do not repeat a text that is no network.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if address, notAddress := netip.ParseAddr(text); notAddress == nil && address.Zone() == "" {
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("must be an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32")
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("IPv4 within IPv6 is not taken: write it as IPv4, such as 192.0.2.0/24")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits set behind its length: write %s", network, network.Masked())
	}
	return network, nil
}
