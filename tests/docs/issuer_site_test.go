package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

var (
	servesIssuer  = regexp.MustCompile(`(?m)^\tm2m_issuer\b`)
	answersOthers = regexp.MustCompile(`(?m)^\t(respond( 404)?|reverse_proxy|file_server|php_fastcgi)\b[^/@\n]*$`)
)

// TestSitesOfIssuersAnswerEveryPath: a site of a page or of an example answers every path that the issuer does not, with a 404 or
// by an upstream. Without that, Caddy answers other paths with an empty 200.
func TestSitesOfIssuersAnswerEveryPath(t *testing.T) {
	found := 0
	for _, b := range append(blocks(t, "caddyfile"), caddyfilesOfTheTree(t)...) {
		for site := range strings.SplitSeq(b.text, "\n}\n") {
			if !servesIssuer.MatchString(site) {
				continue
			}
			found++
			if !answersOthers.MatchString(site) {
				t.Errorf("%s: the site of an issuer has no `respond 404` at its end:%s", b, site)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d sites of issuers", found)
	}
}
