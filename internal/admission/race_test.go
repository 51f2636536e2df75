//go:build race

package admission

func init() { raceDetector = true }
