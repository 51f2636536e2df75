//go:build race

package token

func init() { underRace = true }
