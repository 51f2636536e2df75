//go:build race

package registry

func init() { raceDetector = true }
