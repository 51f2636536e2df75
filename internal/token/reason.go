package token

import (
	"errors"
	"strings"
)

// Reason is a short, stable code for why a token was refused. There are few of them, so that a Reason can be the label of a
// metric.
type Reason string

// The reasons, in the order in which they are checked.
const (
	// Malformed: not a JWT at all, too large, or not in its canonical spelling.
	Malformed Reason = "malformed"
	// Unsupported: a header parameter that is refused, such as crit, jwk or jku.
	Unsupported Reason = "unsupported"
	// WrongAlgorithm: alg is none, symmetric or unknown, or is not the algorithm of the key.
	WrongAlgorithm Reason = "wrong_algorithm"
	// WrongType: typ is missing or is not that of an access token.
	WrongType Reason = "wrong_type"
	// BadKey: the key in the header of a DPoP proof is missing, private, symmetric or malformed.
	BadKey Reason = "bad_key"
	// UnknownKey: kid is missing or names no known key.
	UnknownKey Reason = "unknown_key"
	// BadSignature: the signature is not that of the key.
	BadSignature Reason = "bad_signature"
	// BadClaims: a required claim is missing, or a claim has a value that it cannot have.
	BadClaims Reason = "bad_claims"
	// WrongIssuer: iss is another issuer.
	WrongIssuer Reason = "wrong_issuer"
	// WrongAudience: the token is for another audience.
	WrongAudience Reason = "wrong_audience"
	// SenderConstrained: cnf binds the token to a key of its client, and the verifier cannot take a proof of that key.
	SenderConstrained Reason = "sender_constrained"
	// WrongClient: the client is not one of those that are accepted.
	WrongClient Reason = "wrong_client"
	// Expired: exp has passed.
	Expired Reason = "expired"
	// NotYetValid: nbf or iat lies in the future.
	NotYetValid Reason = "not_yet_valid"
	// Revoked: the token, its client or its key was revoked. Verify does not know that; its callers do.
	Revoked Reason = "revoked"
)

// Error says why a token was refused. Its text consists of fixed phrases, names of claims and the expected audiences. It has nothing of the token
// and no quote, backslash or control character, so that it can be shown to the sender.
type Error struct {
	Reason Reason
	// Detail explains the reason to people.
	Detail string
}

// Error returns "reason: detail".
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

// ErrorReason returns the Reason of err, or "" if err neither is nor wraps an *Error.
func ErrorReason(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// NotFor returns the error for a token that is for none of the expected audiences. It names them, so that the sender knows
// which one to request.
func NotFor(expected []string) *Error {
	detail := "the token must be for " + strings.Join(expected, " or ")
	return &Error{Reason: WrongAudience, Detail: strings.Map(plainRune, detail)}
}

func plainRune(r rune) rune {
	if r < ' ' || r > '~' || r == '"' || r == '\\' {
		return '?'
	}
	return r
}

func refuse(reason Reason, detail string) error { return &Error{Reason: reason, Detail: detail} }
