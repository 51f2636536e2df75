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
	rate                            string
	burst, concurrent               int
	removedAttributes               []string
	grants, denials                 []string
	disabled, noSecret              bool
	secretExpires                   string
	credentialFlags
}

// add adds the flags that create and update share.
func (f *clientFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "description for people")
	flags.StringArrayVar(&f.attributes, "attribute", nil, "name=value for policies, where the value can be JSON; may be repeated")
	flags.StringVar(&f.tokenTTL, "token-ttl", "", `lifetime of the client's tokens, such as "5m"`)
	flags.StringVar(&f.expires, "expires", "", "when the client expires: a time as in RFC 3339, or a duration from now such as 720h")
	flags.StringArrayVar(&f.audiences, "audience", nil, "allowed audience of its tokens; may be repeated")
	flags.StringArrayVar(&f.introspects, "introspects", nil, "audience, besides its own, whose tokens it may introspect; may be repeated")
	flags.StringArrayVar(&f.networks, "network", nil, "network that it may ask from, such as 10.0.0.0/8; may be repeated")
	f.credentialFlags.add(flags)
	flags.StringVar(&f.rate, "rate", "", `limit of its requests in place of the issuer's, such as "200/s" or "30/m"`)
	flags.IntVar(&f.burst, "burst", 0, "how many requests it may make at once after a pause, in place of the issuer's limit")
	flags.IntVar(&f.concurrent, "concurrent", 0, "how many of its requests may be in progress at a time, in place of the issuer's limit")
}

// fields are the given fields, as the API takes them.
func (f *clientFlags) fields(cmd *cobra.Command) (map[string]any, error) {
	fields := make(map[string]any)
	for name, value := range map[string]string{"description": f.description, "token_ttl": f.tokenTTL} {
		if cmd.Flags().Changed(strings.ReplaceAll(name, "_", "-")) {
			fields[name] = value
		}
	}
	if err := setTime(fields, "expires", f.expires); err != nil {
		return nil, err
	}
	for name, list := range map[string][]string{"audiences": f.audiences, "introspects": f.introspects, "networks": f.networks} {
		if len(list) > 0 {
			fields[name] = list
		}
	}
	f.setLimits(cmd, fields)
	if err := f.credentialFlags.set(cmd, fields); err != nil {
		return nil, err
	}
	for _, pair := range f.attributes {
		if !strings.Contains(pair, "=") {
			return nil, api.Invalid("--attribute %q is not name=value", pair)
		}
	}
	return fields, setMembers(fields, "attribute", "value", f.attributes, f.removedAttributes, attributeValue)
}

// setLimits sets the given limits and keeps the others.
func (f *clientFlags) setLimits(cmd *cobra.Command, fields map[string]any) {
	limits := make(map[string]any)
	for name, value := range map[string]any{"rate": f.rate, "burst": f.burst, "concurrent": f.concurrent} {
		if cmd.Flags().Changed(name) {
			limits[name] = value
		}
	}
	if len(limits) > 0 {
		fields["limits"] = limits
	}
}

// setMembers sets a field of the plural of a flag's name to an object, from pairs of name=value. Removed members are
// null.
func setMembers(fields map[string]any, flag, value string, pairs, removed []string, read func(string) any) error {
	members := make(map[string]any)
	for _, pair := range pairs {
		name, text, _ := strings.Cut(pair, "=")
		if name == "" {
			return api.Invalid("--%s %q is not name=%s", flag, pair, value)
		}
		if _, twice := members[name]; twice {
			return api.Invalid("--%s %s is given twice", flag, name)
		}
		members[name] = read(text)
	}
	for _, name := range removed {
		if _, both := members[name]; both {
			return api.Invalid("--%[1]s and --remove-%[1]s contradict each other over %[2]s", flag, name)
		}
		members[name] = nil
	}
	if len(members) > 0 {
		fields[flag+"s"] = members
	}
	return nil
}

// attributeValue is JSON if the text is JSON, and otherwise a string.
func attributeValue(text string) any {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// setTime sets a field to the time of a flag, unless the flag is empty. The flag is a time or a duration from now.
func setTime(fields map[string]any, name, text string) error {
	if text == "" {
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		text = time.Now().Add(d).UTC().Truncate(time.Second).Format(time.RFC3339)
	} else if _, err := time.Parse(time.RFC3339, text); err != nil {
		return api.Invalid("%q is neither a time as in RFC 3339, such as 2027-01-31T00:00:00Z, nor a duration such as 720h", text)
	}
	fields[name] = text
	return nil
}
