package servertest

import "time"

// QuickKeys changes a config, as Server.Change does, so that keys of its issuers are published for 2.2 s before they sign, and
// not ten minutes. They rotate after period, unless that is 0.
func QuickKeys(period time.Duration) func(config map[string]any) {
	return func(config map[string]any) {
		for _, issuer := range config["apps"].(map[string]any)["m2m"].(map[string]any)["issuers"].([]any) {
			issuer := issuer.(map[string]any)
			issuer["key_timing"] = map[string]any{"max_age": "1s", "poll": "200ms", "leeway": "1s"}
			if period > 0 {
				issuer["key_rotation"] = period.String()
			}
		}
	}
}
