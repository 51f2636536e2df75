package registry

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// networks refuses an empty list, which would mean all networks.
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

// parseNetwork parses a prefix in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), or an address, which is a network of one
// address. Each network has one spelling. Bits after the prefix length are refused because the length is often mistyped.
// An IPv4 address within IPv6 is refused because it would match no request: the addresses of requests are converted to
// IPv4. Errors do not repeat a text that is not a network.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if address, notAddress := netip.ParseAddr(text); notAddress == nil && address.Zone() == "" {
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("must be an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32")
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 address within IPv6 is not valid: write it as IPv4, such as 192.0.2.0/24")
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits set after its length: write %s", network, network.Masked())
	}
	return network, nil
}
