package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
)

// Settings name a remote issuer, and say how it is reached. Configs with different settings do not share keys.
type Settings struct {
	discovery.Source
	// CA are PEM files with the certificates that requests trust instead of those of the system. They are read again when
	// they change.
	CA []string
	// Header is sent with requests to the origins that the operator names, and to no other. A value may have placeholders.
	Header map[string]string
	// HTTPNetworks are the only networks to which requests connect without TLS. Default: http is for loopback only.
	HTTPNetworks []netip.Prefix
	// Resolve replaces the placeholders of a value of Header, for each request: a token in a file expires and is written again.
	Resolve func(string) (string, error) `json:"-"`
}

// ByDiscovery returns the settings of an issuer that is found by its URL alone.
func ByDiscovery(url string, jwksOrigins []string) Settings {
	return Settings{Source: discovery.Source{Issuer: url, JWKSOrigins: jwksOrigins}}
}

// Key is equal for settings that are equal. Origins and networks may be in any order.
func (s Settings) Key() string {
	s.JWKSOrigins = slices.Compact(slices.Sorted(slices.Values(s.JWKSOrigins)))
	s.HTTPNetworks = slices.Compact(slices.SortedFunc(slices.Values(s.HTTPNetworks), netip.Prefix.Compare))
	key, _ := json.Marshal(s) // there is nothing in it that JSON cannot have
	return string(key)
}

// Check returns what is wrong with the settings. It neither sends a request nor reads a file.
func (s Settings) Check() error {
	s.PlainHTTP = len(s.HTTPNetworks) > 0
	if err := s.Source.Check(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		if err := CheckHeader(name); err != nil {
			return err
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if seen[canonical] {
			return fmt.Errorf("request_header: %s is given in two spellings", canonical)
		}
		seen[canonical] = true
	}
	return nil
}

// CheckCA returns an error unless the files of CA can be read now.
func (s Settings) CheckCA() error {
	if _, err := readCA(s.CA); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return nil
}

// ParseNetworks reads networks: prefixes, or single addresses.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, failed := netip.ParseAddr(text); failed == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", text)
		case network.Addr().Is4In6(): // addresses are compared as IPv4
			return nil, fmt.Errorf("%s is IPv4 in IPv6; write it as IPv4", text)
		case network.Bits() == 0:
			return nil, fmt.Errorf("%s is every network; name the one that the issuer is on", text)
		case network != network.Masked():
			return nil, fmt.Errorf("%s has bits outside its prefix; the network is %s", text, network.Masked())
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// ownHeaders are set by requests themselves, or belong to the connection.
var ownHeaders = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Length", "Host", "If-None-Match", "Keep-Alive", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// CheckHeader returns why a request to an issuer cannot have a header, or nil if it can.
func CheckHeader(name string) error {
	switch canonical := textproto.CanonicalMIMEHeaderKey(name); {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("request_header: %q is not the name of a header", name)
	case slices.Contains(ownHeaders, canonical):
		return fmt.Errorf("request_header: %s cannot be set", canonical)
	}
	return nil
}

// headerValue returns the value of a header without its placeholders. The error does not hold the value.
func (s Settings) headerValue(name string) (string, error) {
	value := s.Header[name]
	if s.Resolve != nil {
		var err error
		if value, err = s.Resolve(value); err != nil {
			return "", fmt.Errorf("request_header %s: %w", name, err)
		}
	}
	if value = strings.TrimSpace(value); value == "" || !httpguts.ValidHeaderFieldValue(value) {
		return "", errors.New("request_header " + name + ": the value is empty or cannot stand in a header")
	}
	return value, nil
}
