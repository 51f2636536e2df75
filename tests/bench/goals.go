package main

import "fmt"

// goal is a line of the table of goals. Before is what the same comparison gave when the goal was set.
type goal struct {
	What   string `json:"what"`
	Before string `json:"before"`
	Goal   string `json:"goal"`
	Now    string `json:"now"` // empty if the run did not measure it
	ByCPU  string `json:"by_cpu,omitempty"`
}

// goals are what the report says of each goal.
func (r *report) goals() []goal {
	byName := make(map[string]row)
	for _, row := range r.Rows {
		byName[row.Name] = row
	}
	rated := func(what, before, wanted, name string) goal {
		return goal{what, before, wanted, ratio(byName[name].Ratio), ratio(byName[name].RatioByCPU)}
	}
	times := func(v float64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%.1f ×", v)
	}
	all := []goal{
		rated("token, two scopes, shipped policy, decision log on, × limit", "0.37", "≥ 0.80", "token"),
		rated("the same, log off", "0.40", "≥ 0.88", "token-no-log"),
		rated("policy that cannot be cached (reads the clock)", "0.37", "≥ 0.60", "token-clock"),
		{"50 grants, 20 scopes, first time: the decision in signatures", "19", "≤ 5", number(decisionInSignatures(byName)), ""},
		{"p99 at saturation, × limit's", "6.3 ×", "≤ 2 ×", times(byName["token"].P99Ratio), ""},
		rated("door, reused token, × proxy", "0.93", "≥ 0.96", "door"),
		rated("door, new token minted by this process", "0.455", "≥ 0.90", "door-minted"),
		rated("door, new token from elsewhere", "0.455", "≥ 0.53", "door-elsewhere"),
		{"door's p50 while the token endpoint is flooded by 2,000 connections, × alone", "500 ×", "≤ 5 ×", times(r.slowdown(doorFlooded)), ""},
		{"other clients' token p50 while one client floods, × alone", "125 ×", "≤ 5 ×", times(r.slowdown(greedyFlood)), ""},
		{"allocations per token, cached decision, beyond those of `respond`", "405", "≤ 90", number(allocationsBeyond(byName, "token")), ""},
	}
	var measured []goal
	for _, g := range all {
		if g.Now != "" {
			measured = append(measured, g)
		}
	}
	return measured
}

// decisionInSignatures is what a request for 20 scopes of a client with 50 grants takes beyond one for two scopes, by CPU time. The
// unit is what the limit handler takes beyond respond. So it holds a little more than the decision: parsing 20 scopes and logging them.
func decisionInSignatures(rows map[string]row) float64 {
	signature := rows["sign"].CPU - rows["respond"].CPU
	if rows["respond"].CPU == 0 || rows["token-50-grants"].CPU == 0 || rows["token"].CPU == 0 {
		return 0
	}
	return (rows["token-50-grants"].CPU - rows["token"].CPU) / signature
}

// allocationsBeyond are those that Caddy does not make for each of its requests.
func allocationsBeyond(rows map[string]row, name string) float64 {
	if rows["respond"].Allocs == 0 || rows[name].Allocs == 0 {
		return 0
	}
	return rows[name].Allocs - rows["respond"].Allocs
}
