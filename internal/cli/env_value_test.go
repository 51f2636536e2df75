package cli

import "testing"

func TestEnvValue(t *testing.T) {
	for text, want := range map[string]string{
		`plain`:              "plain",
		``:                   "",
		`plain # a comment`:  "plain",
		`with#inside`:        "with#inside",
		`"quoted"`:           "quoted",
		`'quoted' # comment`: "quoted",
		`"a # b"`:            "a # b",
		`"it's"`:             "it's",
		`"`:                  "",
	} {
		if got := envValue(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}
