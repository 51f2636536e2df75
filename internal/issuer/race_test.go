//go:build race

package issuer

func init() { raceDetector = true }
