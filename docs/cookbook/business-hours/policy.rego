package m2m.token

rejected contains {"scope": s.raw, "reason": "outside business hours"} if {
	not _open
	some s in input.scopes
	s.action != "read"
}

_open if {
	now := [time.now_ns(), "Europe/Berlin"]
	[hour, _, _] := time.clock(now)
	hour >= 8
	hour < 18
	not time.weekday(now) in {"Saturday", "Sunday"}
}
