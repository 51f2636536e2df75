package m2m.scope_test

import data.m2m.scope

# The table is the one that the Go implementation is tested with.
cases := data.testdata.scope_cases

test_table_is_there if {
	count(cases.parse) > 0
	count(cases.pairs) > 0
	count(cases.grants) > 0
}

test_parse_well_formed if {
	every c in cases.parse {
		parsed(c)
	}
}

test_covers if {
	every c in cases.pairs {
		scope.covers(scope.parse(c.a), scope.parse(c.b)) == c.covers
	}
}

test_overlaps_both_ways if {
	every c in cases.pairs {
		scope.overlaps(scope.parse(c.a), scope.parse(c.b)) == c.overlaps
		scope.overlaps(scope.parse(c.b), scope.parse(c.a)) == c.overlaps
	}
}

test_grant_covers if {
	every c in cases.grants {
		scope.grant_covers(c.grant, scope.parse(c.scope)) == c.covers
	}
}

test_grant_overlaps if {
	every c in cases.grants {
		scope.grant_overlaps(c.grant, scope.parse(c.scope)) == c.overlaps
	}
}

test_no_grant_covers_without_a_part if {
	not scope.covers({}, {})
	not scope.grant_covers({}, scope.parse("book"))
	not scope.grant_overlaps({}, scope.parse("book"))
}

parsed(c) if {
	c.valid
	scope.parse(c.raw) == {
		"raw": c.raw,
		"resource": c.resource,
		"identifier": c.identifier,
		"action": c.action,
	}
}

parsed(c) if {
	not c.valid
	not scope.parse(c.raw)
}
