package registry_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// scannerRule is the rule for Gitleaks in docs/secrets.md.
type scannerRule struct {
	regex   *regexp.Regexp
	entropy float64
	keyword string
}

// finds reports whether Gitleaks would report exactly that secret. Gitleaks first looks for the keyword in lower case, and
// ignores matches of less entropy.
func (r scannerRule) finds(text, secret string) bool {
	return strings.Contains(strings.ToLower(text), r.keyword) && r.regex.FindString(text) == secret && entropy(secret) > r.entropy
}

func (r scannerRule) isSilent(text string) bool {
	found := r.regex.FindString(text)
	return found == "" || entropy(found) <= r.entropy
}

// readScannerRule reads the TOML values that matter.
func readScannerRule(t *testing.T) scannerRule {
	t.Helper()
	page, err := os.ReadFile("../../docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(page), "\n```toml\n")
	rule, _, found := strings.Cut(rule, "\n```\n")
	if !found {
		t.Fatal("docs/secrets.md has no TOML")
	}
	value := func(pattern string) string {
		match := regexp.MustCompile(`(?m)^` + pattern + `$`).FindStringSubmatch(rule)
		if match == nil {
			t.Fatalf("no line of the rule is like %s:\n%s", pattern, rule)
		}
		return match[1]
	}
	least, err := strconv.ParseFloat(value(`entropy = ([0-9.]+)`), 64)
	if err != nil {
		t.Fatal(err)
	}
	regex := regexp.MustCompile(value(`regex = '''([^']+)'''`)) // Gitleaks is written in Go and uses the same engine
	return scannerRule{regex, least, value(`keywords = \["([^"]+)"\]`)}
}

// entropy returns the Shannon entropy in bits per character, as Gitleaks computes it.
func entropy(s string) (bits float64) {
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" {
		if p := float64(strings.Count(s, string(c))) / float64(len(s)); p > 0 {
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

func TestScannerRuleFindsSecrets(t *testing.T) {
	rule := readScannerRule(t)
	around := []string{
		"%", "CLIENT_SECRET=%", "CLIENT_SECRET=%\n", `{"client_secret":"%","scope":"book"}`, "curl -u ci-bot:% https://auth.example.com",
		"?client_secret=%&scope=book", `"secret file:\n%\n"`, "client_secret: '%'", "secret is %.", "<td>%</td>",
	}
	for range 2000 {
		secret := registry.NewSecret()
		for _, text := range around {
			if text = strings.Replace(text, "%", secret, 1); !rule.finds(text, secret) {
				t.Fatalf("not found in %q", text)
			}
		}
	}
}

func TestScannerRuleIsSilent(t *testing.T) {
	rule := readScannerRule(t)
	secret := registry.NewSecret()
	for name, text := range map[string]string{
		"a character less":        secret[:len(secret)-1],
		"a character more":        secret + "a",
		"an underscore more":      secret + "_a",
		"no prefix":               secret[len("m2m_"):],
		"another prefix":          "m2n_" + secret[len("m2m_"):],
		"a prefix in capitals":    "M2M_" + secret[len("m2m_"):],
		"a checksum out of range": secret[:47] + "5" + secret[48:],
		"a hyphen within":         secret[:20] + "-" + secret[21:],
		"a line break within":     secret[:20] + "\n" + secret[20:],
		"its hash":                registry.HashSecret(secret),
		"a placeholder":           "m2m_" + strings.Repeat("0", 49),
		"another placeholder":     "m2m_" + strings.Repeat("x", 49),
		"an identifier":           "m2m_client_secret_that_is_kept_in_the_environment_of_this",
		"the documents' ellipsis": "m2m_…",
	} {
		if !rule.isSilent(text) {
			t.Errorf("%s is taken for a secret: %q", name, text)
		}
	}
}
