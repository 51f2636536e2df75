package exchange

import (
	"errors"
	"fmt"
)

// MaxActors bounds how often a token is exchanged on, each time by another client.
const MaxActors = 8

// ErrTooManyActors is the error of By for more than MaxActors actors.
var ErrTooManyActors = fmt.Errorf("the token has been exchanged by %d clients already", MaxActors)

// Actor is a client that acts for the subject of a token (RFC 8693 §4.1).
type Actor struct {
	// Subject is the client that acts: the presenter of the exchange, or the client of the actor token.
	Subject string
	// ClientID is the client that asked for the exchange.
	ClientID string
	// Prior is who acted before, nil if the subject itself did.
	Prior *Actor
}

// Claim returns the act claim, nil if there is none.
func (a *Actor) Claim() map[string]any {
	if a == nil {
		return nil
	}
	claim := map[string]any{"sub": a.Subject, "client_id": a.ClientID}
	if prior := a.Prior.Claim(); prior != nil {
		claim["act"] = prior
	}
	return claim
}

// By returns the actors of the token that a client asks for on behalf of an actor, who is mostly the client itself. A client
// that exchanges its own token, or again one that it got by an exchange, is not one more actor.
func (s *Subject) By(clientID, actor string) (*Actor, error) {
	switch last := s.actor; {
	case last == nil && actor == s.Client && clientID == s.Client:
		return nil, nil
	case last != nil && last.Subject == actor && last.ClientID == clientID:
		return last, nil
	case last.depth() == MaxActors:
		return nil, ErrTooManyActors
	}
	return &Actor{Subject: actor, ClientID: clientID, Prior: s.actor}, nil
}

func (a *Actor) depth() (n int) {
	for ; a != nil; a = a.Prior {
		n++
	}
	return n
}

var errActor = errors.New("the act claim is not one of this issuer")

// readActor reads the act claim of a token of this issuer.
func readActor(claims map[string]any) (*Actor, error) {
	value, ok := claims["act"]
	if !ok {
		return nil, nil
	}
	return parseActor(value, MaxActors)
}

func parseActor(value any, most int) (*Actor, error) {
	claim, ok := value.(map[string]any)
	subject, _ := claim["sub"].(string)
	client, _ := claim["client_id"].(string)
	if !ok || most == 0 || subject == "" || client == "" {
		return nil, errActor
	}
	actor, known := &Actor{Subject: subject, ClientID: client}, 2
	if inner, ok := claim["act"]; ok {
		prior, err := parseActor(inner, most-1)
		if err != nil {
			return nil, err
		}
		actor.Prior, known = prior, 3
	}
	if len(claim) != known {
		return nil, errActor
	}
	return actor, nil
}
