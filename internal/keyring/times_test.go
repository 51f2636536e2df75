package keyring

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// testTimes are the defaults, with a period of a day.
var testTimes = Times{Period: 24 * time.Hour, TTL: 10 * time.Minute, MaxAge: 5 * time.Minute, Poll: 5 * time.Second, Leeway: 5 * time.Minute}

var testEpoch = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// keyAt returns a key that signs from a time after the epoch.
func keyAt(t testing.TB, alg token.Alg, after time.Duration) *storedKey {
	t.Helper()
	key, err := token.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return &storedKey{SigningKey: key, created: testEpoch.Add(after), signsFrom: testEpoch.Add(after)}
}

func TestKeyStates(t *testing.T) {
	retired, active, next := keyAt(t, token.ES256, 0), keyAt(t, token.ES256, 24*time.Hour), keyAt(t, token.ES256, 48*time.Hour)
	gone := keyAt(t, token.ES256, 12*time.Hour)
	gone.revoked = &revocation{At: testEpoch.Add(13 * time.Hour), Reason: "leaked"}
	foreign := keyAt(t, token.EdDSA, 20*time.Hour)
	all := []*storedKey{next, foreign, gone, active, retired}
	sortKeys(all)
	for _, test := range []struct {
		after time.Duration
		alg   token.Alg
		want  map[*storedKey]State
	}{
		{0, token.ES256, map[*storedKey]State{retired: Active, active: Next, next: Next, gone: Revoked, foreign: Retired}},
		{24*time.Hour - 1, token.ES256, map[*storedKey]State{retired: Active, active: Next}},
		{24 * time.Hour, token.ES256, map[*storedKey]State{retired: Retired, active: Active, next: Next, foreign: Retired}},
		{48 * time.Hour, token.ES256, map[*storedKey]State{retired: Retired, active: Retired, next: Active}},
		{-time.Hour, token.ES256, map[*storedKey]State{retired: Active, active: Next}}, // a clock that is behind
		{21 * time.Hour, token.EdDSA, map[*storedKey]State{foreign: Active, active: Retired, next: Retired}},
	} {
		for key, want := range test.want {
			if got := stateAt(all, key, test.alg, testEpoch.Add(test.after)); got != want {
				t.Errorf("after %s the key from %s is %s, want %s", test.after, key.signsFrom, got, want)
			}
		}
	}
	if signer := signerAt([]*storedKey{gone}, token.ES256, testEpoch.Add(time.Hour)); signer != nil {
		t.Errorf("%s signs", signer)
	}
	// after a change of the algorithm the former key signs until the first of the new one does
	changed := []*storedKey{active, keyAt(t, token.EdDSA, 30*time.Hour)}
	for after, want := range map[time.Duration]*storedKey{29 * time.Hour: active, 30 * time.Hour: changed[1]} {
		if signer := signerAt(changed, token.EdDSA, testEpoch.Add(after)); signer != want {
			t.Errorf("after %s %s signs", after, signer)
		}
	}
}

func TestPlan(t *testing.T) {
	first, second, third := keyAt(t, token.ES256, 0), keyAt(t, token.ES256, 24*time.Hour), keyAt(t, token.ES256, 48*time.Hour)
	revoked := keyAt(t, token.ES256, 0)
	revoked.revoked = &revocation{At: testEpoch.Add(time.Hour)}
	foreign := keyAt(t, token.EdDSA, 0)
	lead, keep := testTimes.lead(), testTimes.retention(first)
	if lead != 10*time.Minute+5*time.Second || keep != 15*time.Minute {
		t.Fatalf("lead %s, keep %s", lead, keep)
	}
	off := testTimes
	off.Period = 0
	longer := keyAt(t, token.ES256, 0) // has signed tokens that were valid for an hour
	longer.ttl = time.Hour
	for name, test := range map[string]struct {
		times Times
		keys  []*storedKey
		after time.Duration
		from  time.Duration // of the key to make; 0 is none
		drop  []*storedKey
	}{
		"none at all":                      {testTimes, nil, time.Second, time.Second, nil},
		"only one of another algorithm":    {testTimes, []*storedKey{foreign}, time.Second, time.Second + lead, nil},
		"only a revoked one":               {testTimes, []*storedKey{revoked}, time.Hour, time.Hour, nil},
		"not yet":                          {testTimes, []*storedKey{first}, 24*time.Hour - lead - 1, 0, nil},
		"due":                              {testTimes, []*storedKey{first}, 24*time.Hour - lead, 24 * time.Hour, nil},
		"due for a clock a minute ahead":   {testTimes, []*storedKey{first}, 24*time.Hour - lead + time.Minute, 24*time.Hour + time.Minute, nil},
		"late":                             {testTimes, []*storedKey{first}, 300 * time.Hour, 300*time.Hour + lead, nil},
		"off":                              {off, []*storedKey{first}, 300 * time.Hour, 0, nil},
		"done":                             {testTimes, []*storedKey{first, second}, 24*time.Hour - lead, 0, nil},
		"its tokens are valid":             {testTimes, []*storedKey{first, second}, 24*time.Hour + keep, 0, nil},
		"its tokens have expired":          {testTimes, []*storedKey{first, second}, 24*time.Hour + keep + 1, 0, []*storedKey{first}},
		"they were valid for longer once":  {testTimes, []*storedKey{longer, second}, 25*time.Hour + testTimes.Leeway, 0, nil},
		"and have expired as well":         {testTimes, []*storedKey{longer, second}, 25*time.Hour + testTimes.Leeway + 1, 0, []*storedKey{longer}},
		"two have":                         {testTimes, []*storedKey{first, second, third}, 48*time.Hour + keep + 1, 0, []*storedKey{first, second}},
		"also when off":                    {off, []*storedKey{first, second}, 24*time.Hour + keep + 1, 0, []*storedKey{first}},
		"a revoked one is remembered":      {testTimes, []*storedKey{revoked, second}, time.Hour + keep, 0, nil},
		"and forgotten":                    {testTimes, []*storedKey{revoked, second}, time.Hour + keep + 1, 0, []*storedKey{revoked}},
		"another algorithm's, in its time": {testTimes, []*storedKey{foreign, second}, 24*time.Hour + keep, 0, nil},
		"and after it":                     {testTimes, []*storedKey{foreign, second}, 24*time.Hour + keep + 1, 0, []*storedKey{foreign}},
		"the algorithm changed late":       {testTimes, []*storedKey{foreign, third}, 48*time.Hour + keep, 0, nil},
		"and that is over":                 {testTimes, []*storedKey{foreign, third}, 48*time.Hour + keep + 1, 0, []*storedKey{foreign}},
		"the algorithm has changed, and its key has yet to sign": {testTimes, []*storedKey{foreign, third}, 47 * time.Hour, 0, nil},
		"another algorithm's, when off":                          {off, []*storedKey{foreign, second}, 300 * time.Hour, 0, nil},
	} {
		plan := test.times.plan(test.keys, token.ES256, testEpoch.Add(test.after))
		if plan.create != (test.from != 0) || plan.create && !plan.signsFrom.Equal(testEpoch.Add(test.from)) {
			t.Errorf("%s: makes a key %t, which signs from %s; want %s", name, plan.create, plan.signsFrom, testEpoch.Add(test.from))
		}
		if plan.create && len(test.keys) > 0 && plan.signsFrom.Before(testEpoch.Add(test.after+lead)) && signerAt(test.keys, token.ES256, testEpoch) != nil {
			t.Errorf("%s: a key is published for less than %s", name, lead)
		}
		if !slices.Equal(plan.drop, test.drop) {
			t.Errorf("%s: drops %v, want %v", name, plan.drop, test.drop)
		}
	}
}
