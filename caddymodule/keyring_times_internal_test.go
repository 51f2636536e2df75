package caddymodule

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// testTimes are those of the defaults, with a period of a day.
var testTimes = keyTimes{24 * time.Hour, 10 * time.Minute, jwksMaxAge, keyPollInterval, keyLeeway}

var testEpoch = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// keyAt is a key that signs from so long after the epoch.
func keyAt(t testing.TB, alg token.Alg, after time.Duration) *issuerKey {
	t.Helper()
	key, err := token.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return &issuerKey{SigningKey: key, created: testEpoch.Add(after), signsFrom: testEpoch.Add(after)}
}

func TestKeyStates(t *testing.T) {
	retired, active, next := keyAt(t, token.ES256, 0), keyAt(t, token.ES256, 24*time.Hour), keyAt(t, token.ES256, 48*time.Hour)
	gone := keyAt(t, token.ES256, 12*time.Hour)
	gone.revoked = &keyRevocation{At: testEpoch.Add(13 * time.Hour), Reason: "leaked"}
	foreign := keyAt(t, token.EdDSA, 20*time.Hour)
	all := []*issuerKey{next, foreign, gone, active, retired}
	sortKeys(all)
	for _, test := range []struct {
		after time.Duration
		alg   token.Alg
		want  map[*issuerKey]keyState
	}{
		{0, token.ES256, map[*issuerKey]keyState{retired: keyActive, active: keyNext, next: keyNext, gone: keyRevoked, foreign: keyRetired}},
		{24*time.Hour - 1, token.ES256, map[*issuerKey]keyState{retired: keyActive, active: keyNext}},
		{24 * time.Hour, token.ES256, map[*issuerKey]keyState{retired: keyRetired, active: keyActive, next: keyNext, foreign: keyRetired}},
		{48 * time.Hour, token.ES256, map[*issuerKey]keyState{retired: keyRetired, active: keyRetired, next: keyActive}},
		{-time.Hour, token.ES256, map[*issuerKey]keyState{retired: keyActive, active: keyNext}}, // a clock that is behind
		{21 * time.Hour, token.EdDSA, map[*issuerKey]keyState{foreign: keyActive, active: keyRetired, next: keyRetired}},
	} {
		for key, want := range test.want {
			if got := stateAt(all, key, test.alg, testEpoch.Add(test.after)); got != want {
				t.Errorf("after %s the key from %s is %s, want %s", test.after, key.signsFrom, got, want)
			}
		}
	}
	if signer := signerAt([]*issuerKey{gone}, token.ES256, testEpoch.Add(time.Hour)); signer != nil {
		t.Errorf("%s signs", signer)
	}
	// after a change of the algorithm the former key signs until the first of the new one does
	changed := []*issuerKey{active, keyAt(t, token.EdDSA, 30*time.Hour)}
	for after, want := range map[time.Duration]*issuerKey{29 * time.Hour: active, 30 * time.Hour: changed[1]} {
		if signer := signerAt(changed, token.EdDSA, testEpoch.Add(after)); signer != want {
			t.Errorf("after %s %s signs", after, signer)
		}
	}
}

func TestWhatIsDueAboutKeys(t *testing.T) {
	first, second, third := keyAt(t, token.ES256, 0), keyAt(t, token.ES256, 24*time.Hour), keyAt(t, token.ES256, 48*time.Hour)
	revoked := keyAt(t, token.ES256, 0)
	revoked.revoked = &keyRevocation{At: testEpoch.Add(time.Hour)}
	foreign := keyAt(t, token.EdDSA, 0)
	lead, keep := testTimes.lead(), testTimes.keep(first)
	if lead != 10*time.Minute+5*time.Second || keep != 15*time.Minute {
		t.Fatalf("lead %s, keep %s", lead, keep)
	}
	off := testTimes
	off.period = 0
	longer := keyAt(t, token.ES256, 0) // has signed tokens that were valid for an hour
	longer.ttl = time.Hour
	for name, test := range map[string]struct {
		times keyTimes
		keys  []*issuerKey
		after time.Duration
		from  time.Duration // of the key to make; 0 is none
		drop  []*issuerKey
	}{
		"none at all":                      {testTimes, nil, time.Second, time.Second, nil},
		"only one of another algorithm":    {testTimes, []*issuerKey{foreign}, time.Second, time.Second + lead, nil},
		"only a revoked one":               {testTimes, []*issuerKey{revoked}, time.Hour, time.Hour, nil},
		"not yet":                          {testTimes, []*issuerKey{first}, 24*time.Hour - lead - 1, 0, nil},
		"due":                              {testTimes, []*issuerKey{first}, 24*time.Hour - lead, 24 * time.Hour, nil},
		"due for a clock a minute ahead":   {testTimes, []*issuerKey{first}, 24*time.Hour - lead + time.Minute, 24*time.Hour + time.Minute, nil},
		"late":                             {testTimes, []*issuerKey{first}, 300 * time.Hour, 300*time.Hour + lead, nil},
		"off":                              {off, []*issuerKey{first}, 300 * time.Hour, 0, nil},
		"done":                             {testTimes, []*issuerKey{first, second}, 24*time.Hour - lead, 0, nil},
		"its tokens are valid":             {testTimes, []*issuerKey{first, second}, 24*time.Hour + keep, 0, nil},
		"its tokens have expired":          {testTimes, []*issuerKey{first, second}, 24*time.Hour + keep + 1, 0, []*issuerKey{first}},
		"they were valid for longer once":  {testTimes, []*issuerKey{longer, second}, 25*time.Hour + keyLeeway, 0, nil},
		"and have expired as well":         {testTimes, []*issuerKey{longer, second}, 25*time.Hour + keyLeeway + 1, 0, []*issuerKey{longer}},
		"two have":                         {testTimes, []*issuerKey{first, second, third}, 48*time.Hour + keep + 1, 0, []*issuerKey{first, second}},
		"also when off":                    {off, []*issuerKey{first, second}, 24*time.Hour + keep + 1, 0, []*issuerKey{first}},
		"a revoked one is remembered":      {testTimes, []*issuerKey{revoked, second}, time.Hour + keep, 0, nil},
		"and forgotten":                    {testTimes, []*issuerKey{revoked, second}, time.Hour + keep + 1, 0, []*issuerKey{revoked}},
		"another algorithm's, in its time": {testTimes, []*issuerKey{foreign, second}, 24*time.Hour + keep, 0, nil},
		"and after it":                     {testTimes, []*issuerKey{foreign, second}, 24*time.Hour + keep + 1, 0, []*issuerKey{foreign}},
		"the algorithm changed late":       {testTimes, []*issuerKey{foreign, third}, 48*time.Hour + keep, 0, nil},
		"and that is over":                 {testTimes, []*issuerKey{foreign, third}, 48*time.Hour + keep + 1, 0, []*issuerKey{foreign}},
		"the algorithm has changed, and its key has yet to sign": {testTimes, []*issuerKey{foreign, third}, 47 * time.Hour, 0, nil},
		"another algorithm's, when off":                          {off, []*issuerKey{foreign, second}, 300 * time.Hour, 0, nil},
	} {
		plan := test.times.plan(test.keys, token.ES256, testEpoch.Add(test.after))
		if plan.make != (test.from != 0) || plan.make && !plan.signsFrom.Equal(testEpoch.Add(test.from)) {
			t.Errorf("%s: makes a key %t, which signs from %s; want %s", name, plan.make, plan.signsFrom, testEpoch.Add(test.from))
		}
		if plan.make && len(test.keys) > 0 && plan.signsFrom.Before(testEpoch.Add(test.after+lead)) && signerAt(test.keys, token.ES256, testEpoch) != nil {
			t.Errorf("%s: a key is published for less than %s", name, lead)
		}
		if !slices.Equal(plan.drop, test.drop) {
			t.Errorf("%s: drops %v, want %v", name, plan.drop, test.drop)
		}
	}
}
