package token

import "time"

// How far the clocks of the issuer and of those that check its tokens may be apart, by default and at most.
const (
	DefaultLeeway = 30 * time.Second
	MaxLeeway     = 5 * time.Minute
)

// MaxTTL is the longest that a token of this program is valid. A key stays published for at least this long after it
// stops signing.
const MaxTTL = 24 * time.Hour
