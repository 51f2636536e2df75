package token

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// memoryWorld has issuers whose keys change, tokens of all kinds, and doors with settings of all kinds that share a memory
// for each issuer.
type memoryWorld struct {
	*testing.T
	*rand.Rand
	now      time.Time
	keys     []*SigningKey
	jwks     []string // the forms in which the keys are published
	sets     map[string]*KeySet
	fault    error // of the look-up of keys
	doors    [][]Trust
	shared   []*Verifier // of doors
	memories map[string]*Memory
	tokens   []string
}

func newMemoryWorld(t *testing.T, random *rand.Rand) *memoryWorld {
	w := &memoryWorld{T: t, Rand: random, now: testNow, sets: make(map[string]*KeySet)}
	w.memories = map[string]*Memory{testIssuer: NewMemory(768 << 10), otherIssuer: NewMemory(768 << 10)}
	w.keys = []*SigningKey{testKey(t, ES256), otherKey(t), otherKey(t), testKey(t, EdDSA), testKey(t, RS256), testKey(t, PS256)}
	for _, key := range w.keys {
		w.jwks = append(w.jwks, jwkOf(t, key, key.ID(), nil), jwkOf(t, key, "same", nil), jwkOf(t, key, "", map[string]any{"kid": nil}),
			jwkOf(t, key, "same", map[string]any{"alg": nil}))
	}
	for range 60 {
		w.tokens = append(w.tokens, w.token())
	}
	for range 12 {
		w.addDoor()
	}
	w.rotate()
	w.rotate()
	return w
}

// one returns one of some values.
func one[T any](w *memoryWorld, values ...T) T { return values[w.IntN(len(values))] }

// some returns some of the values.
func some[T any](w *memoryWorld, values ...T) (chosen []T) {
	for _, value := range values {
		if w.IntN(2) == 0 {
			chosen = append(chosen, value)
		}
	}
	return chosen
}

// token makes a token, most of which are good for some door.
func (w *memoryWorld) token() string {
	key := one(w, w.keys...)
	changes := map[string]any{"jti": fmt.Sprint("J", w.Uint64()), "iss": one(w, testIssuer, testIssuer, testIssuer, testIssuer, otherIssuer)}
	for range max(0, w.IntN(5)-2) {
		changes[one(w, "aud", "client_id", "azp", "scp", "exp", "nbf", "sub", "cnf", "iat")] = one[any](w,
			nil, testAudience, "https://else.example.com", "ci-bot", []string{"book:*:read", "a b"}, testNow.Unix()+120, testNow.Unix()-20, map[string]any{})
	}
	if w.IntN(4) == 0 {
		changes["cnf"] = one[any](w, map[string]any{"jkt": thumbprintA}, map[string]any{"x5t#S256": thumbprintB},
			map[string]any{"jkt": thumbprintA, "x5t#S256": thumbprintB}, map[string]any{"jkt": thumbprintA, "kid": "k"}, "k")
	}
	if w.IntN(4) == 0 { // as this process makes them
		raw := signedClaims(w, key, testClaims(w, changes))
		w.memories[changes["iss"].(string)].Minted(raw, key, "ci-bot")
		return raw
	}
	header := fmt.Sprintf(`{"alg":%q`, key.Alg())
	if kid := one(w, key.ID(), key.ID(), "same", "same", "same", "", "unknown"); kid != "" {
		header += fmt.Sprintf(`,"kid":%q`, kid)
	}
	if typ := one(w, "at+jwt", "at+jwt", "at+jwt", "at+jwt", "application/AT+jwt", "JWT", ""); typ != "" {
		header += fmt.Sprintf(`,"typ":%q`, typ)
	}
	header += one(w, "", "", "", "", "", `,"x5t":"a"`, `,"jku":"https://a.example.com"`, `,"x5c":["`+strings.Repeat("MIIB", 300)+`"]`) + "}"
	raw := signedParts(w, key, encodeBase64([]byte(header)), encodeBase64([]byte(testClaims(w, changes))))
	if w.IntN(20) == 0 { // damaged
		at := w.IntN(len(raw))
		raw = raw[:at] + one(w, "A", "B", ".", "", "=") + raw[at+1:]
	}
	return raw
}

// addDoor makes a door of one or both issuers.
func (w *memoryWorld) addDoor() {
	var door []Trust
	for _, issuer := range one(w, []string{testIssuer}, []string{testIssuer}, []string{otherIssuer}, []string{testIssuer, otherIssuer}) {
		e := Expect{
			Issuer: issuer, Audiences: one(w, []string{testAudience}, []string{"https://else.example.com", testAudience}),
			Leeway: one(w, 0, DefaultLeeway, MaxLeeway), Now: func() time.Time { return w.now },
		}
		e.Bound = w.IntN(2) == 0
		if w.IntN(3) > 0 {
			e.NoKeyID, e.Types = w.IntN(2) == 0, some(w, "at+jwt", "JWT")
			e.AllowMissing = some(w, "sub", "client_id", "jti", "iat", "typ")
			e.ScopeClaim, e.ClientClaim = one(w, "", "scp", "scope"), one(w, "", "azp")
			e.IgnoreParams, e.Algs = some(w, "jku", "x5u", "x5c"), one(w, nil, []Alg{ES256, EdDSA, RS256, PS256}, some(w, ES256, EdDSA, RS256, PS256))
			if e.Clients = some(w, "ci-bot", testAudience); len(e.Clients) > 0 {
				e.AllowMissing = append(e.AllowMissing, some(w, "aud")...)
			}
		}
		door = append(door, Trust{Expect: e})
	}
	w.doors = append(w.doors, door)
	shared := slices.Clone(door)
	for n := range shared {
		shared[n].Memory = w.memories[shared[n].Issuer]
	}
	w.shared = append(w.shared, NewVerifier(shared...))
}

// rotate gives an issuer other keys: new sets of the same ones, more, fewer, or others under the same kid.
func (w *memoryWorld) rotate() {
	issuer := one(w, testIssuer, otherIssuer)
	switch w.IntN(12) {
	case 0:
		w.sets[issuer] = nil
	case 1, 2, 3, 4:
		w.sets[issuer] = NewKeySet(append(some(w, w.keys...), some(w, w.keys...)...)...)
	default:
		var published []string
		for range 8 + w.IntN(12) {
			published = append(published, one(w, w.jwks...))
		}
		w.sets[issuer], _, _ = ParseKeySet([]byte(`{"keys":[` + strings.Join(published, ",") + `]}`))
	}
}

// step changes the world now and then.
func (w *memoryWorld) step() {
	switch w.IntN(120) {
	case 0, 1:
		w.rotate()
	case 2:
		w.now = testNow.Add(one(w, -time.Hour, -time.Minute, 0, 0, 0, 0, time.Minute, 4*time.Minute, 11*time.Minute))
	case 3:
		w.fault = one[error](w, nil, nil, nil, nil, nil, nil, nil, nil, errors.New("no keys"), &Error{Reason: Revoked, Detail: "given up"})
	case 4:
		w.tokens[w.IntN(len(w.tokens))] = w.token()
	case 5:
		at := w.IntN(len(w.doors))
		w.addDoor()
		w.doors, w.shared = slices.Delete(w.doors, at, at+1), slices.Delete(w.shared, at, at+1)
	}
}

// answer is what a door can see of a Verify.
type answer struct {
	claims        *Claims
	confirmation  Confirmation
	keyID, issuer string
	err           error
	asked         []string
}

func (w *memoryWorld) ask(v *Verifier, raw string) (Verified, answer) {
	var asked []string
	verified, err := v.Verify(raw, func(issuer, kid string) (*KeySet, error) {
		asked = append(asked, issuer+" "+kid)
		if kid == missingKey && w.fault == nil {
			return w.sets[otherIssuer], nil // a fetch may bring other keys
		}
		return w.sets[issuer], w.fault
	})
	return verified, answer{verified.Claims, confirmationOf(verified), verified.KeyID(), verified.ChosenIssuer(), err, asked}
}

func confirmationOf(t Verified) Confirmation {
	if t.Claims == nil {
		return Confirmation{}
	}
	return t.Confirmation()
}

// TestSharedMemoryChangesNoAnswer: with a memory that doors of all settings share, each answer is that of a new Verifier that
// remembers nothing, in the claims, the keys that the token is bound to, the key, the issuer, the error and the keys that are asked for.
func TestSharedMemoryChangesNoAnswer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds, steps := uint64(3), 5000
	if underRace {
		rounds, steps = 1, 1000 // signatures are slow then
	}
	sources, bound, reasons := make(map[Source]int), make(map[Source]int), make(map[Reason]int)
	for round := range rounds {
		w := newMemoryWorld(t, rand.New(rand.NewPCG(seed, round)))
		for range steps {
			w.step()
			at, raw := w.IntN(len(w.doors)), one(w, w.tokens...)
			_, want := w.ask(NewVerifier(w.doors[at]...), raw)
			verified, got := w.ask(w.shared[at], raw)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("round %d: %s\nby %+v\nfrom %q: %+v\nwant %+v", round, raw, w.doors[at], verified.Source, got, want)
			}
			reasons[ErrorReason(got.err)]++
			if got.err == nil {
				sources[verified.Source]++
				if got.confirmation != (Confirmation{}) {
					bound[verified.Source]++
				}
			}
			if w.IntN(3) > 0 {
				w.shared[at].Remember(verified)
			} else if w.IntN(20) == 0 {
				w.shared[at].Forget(verified)
			}
		}
	}
	t.Log(sources, bound, reasons)
	for _, source := range []Source{Remembered, Minted, Missed} {
		if sources[source] < 5 && !underRace {
			t.Errorf("%d tokens were %s", sources[source], source)
		}
		if bound[source] == 0 && !underRace {
			t.Errorf("no bound token was %s", source)
		}
	}
}
