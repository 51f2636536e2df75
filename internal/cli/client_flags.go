package cli

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// clientFlags are the fields of a client.
type clientFlags struct {
	description, tokenTTL, expires  string
	attributes, audiences, networks []string
	introspects                     []string
	removedAttributes               []string
	grants, denials                 []string
	disabled, noSecret              bool
	secretExpires                   string
}

// add adds the flags that create and update have in common.
func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "for people")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "name=value for policies; the value may be JSON; may be repeated")
	flags.StringVar(&f.tokenTTL, "token-ttl", "", `lifetime of the client's tokens, such as "5m"`)
	flags.StringVar(&f.expires, "expires", "", "when the client ends: a time as in RFC 3339, or a duration from now such as 720h")
	flags.StringArrayVar(&f.audiences, "audience", nil, "audience that its tokens may have; may be repeated")
	flags.StringArrayVar(&f.introspects, "introspects", nil, "audience whose tokens it may introspect beside its own; may be repeated")
	flags.StringArrayVar(&f.networks, "network", nil, "source network, such as 10.0.0.0/8; may be repeated")
}

// fields are those that were given, as the API takes them.
func (f *clientFlags) fields(cmd *cobra.Command) (map[string]any, error) {
	fields := make(map[string]any)
	for name, value := range map[string]string{"description": f.description, "token_ttl": f.tokenTTL} {
		if cmd.Flags().Changed(strings.ReplaceAll(name, "_", "-")) {
			fields[name] = value
		}
	}
	if f.expires != "" {
		at, err := timeFlag(f.expires)
		if err != nil {
			return nil, err
		}
		fields["expires"] = at
	}
	if len(f.audiences) > 0 {
		fields["audiences"] = f.audiences
	}
	if len(f.introspects) > 0 {
		fields["introspects"] = f.introspects
	}
	if len(f.networks) > 0 {
		fields["networks"] = f.networks
	}
	attributes := make(map[string]any)
	for _, pair := range f.attributes {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, api.Invalid("--attribute %q is not name=value", pair)
		}
		if _, twice := attributes[name]; twice {
			return nil, api.Invalid("--attribute %s is given twice", name)
		}
		attributes[name] = attributeValue(value)
	}
	for _, name := range f.removedAttributes {
		if _, both := attributes[name]; both {
			return nil, api.Invalid("--attribute and --remove-attribute contradict each other over %s", name)
		}
		attributes[name] = nil
	}
	if len(attributes) > 0 {
		fields["attributes"] = attributes
	}
	return fields, nil
}

// attributeValue is JSON where the text is, and else a string.
func attributeValue(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// timeFlag is a time, given as such or as a duration from now.
func timeFlag(text string) (string, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(d).UTC().Truncate(time.Second).Format(time.RFC3339), nil
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return "", api.Invalid("%q is neither a time as in RFC 3339, such as 2027-01-31T00:00:00Z, nor a duration such as 720h", text)
	}
	return text, nil
}
