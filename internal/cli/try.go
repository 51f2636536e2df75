package cli

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// scopesToTry are the grants that no denial overlaps: others would be rejected.
func (f *clientFlags) scopesToTry() []string {
	return slices.DeleteFunc(slices.Clone(f.grants), func(granted string) bool {
		return slices.ContainsFunc(f.denials, func(denied string) bool {
			g, grantErr := scope.Parse(granted)
			d, denyErr := scope.Parse(denied)
			return grantErr != nil || denyErr != nil || d.Overlaps(g)
		})
	})
}

// tryLine is the curl command that asks for a token, with the secret in a variable.
func (s *session) tryLine(id string, scopes []string) string {
	var known api.IssuerList
	endpoint := "<token endpoint>"
	chosen := s.flags.issuer
	s.flags.issuer = ""
	if err := s.call(http.MethodGet, "/issuers", nil, nil, &known); err == nil {
		for _, i := range known.Issuers {
			if chosen == "" || i.Issuer == chosen {
				endpoint = i.TokenEndpoint
			}
		}
	}
	s.flags.issuer = chosen
	scope := strings.Join(scopes, " ")
	if scope == "" {
		scope = "<scope>"
	}
	user := `"` + id + `:$CLIENT_SECRET"`
	if shellWord(id) != id {
		user = shellWord(id+":") + `"$CLIENT_SECRET"`
	}
	return fmt.Sprintf("curl -s %s -u %s -d grant_type=client_credentials --data-urlencode %s",
		shellWord(endpoint), user, shellWord("scope="+scope))
}

// shellWord quotes a text for a shell.
func shellWord(text string) string {
	safe := func(r rune) bool {
		return r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@,", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
