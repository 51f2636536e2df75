# The policy that ships. A scope is granted when one of the client's grants covers it whole. It is
# rejected when the registry does not know its resource or its action, or when a deny grant overlaps
# it, whatever grants it. Reasons are stable: "unknown resource", "unknown action", "denied by a
# grant" and "no grant covers it".
#
# This is no METADATA: a package has that once, and authors' files of this package may want it.
package m2m.token

import data.m2m.grants

granted contains scope if some scope in grants.covered

rejected contains {"scope": scope, "reason": "unknown resource"} if {
	some scope in grants.unknown_resource
}

rejected contains {"scope": scope, "reason": "unknown action"} if {
	some scope in grants.unknown_action
}

rejected contains {"scope": scope, "reason": "denied by a grant"} if {
	some scope in grants.denied
}

rejected contains {"scope": scope, "reason": "no grant covers it"} if {
	refused := (grants.unknown_resource | grants.unknown_action) | grants.denied
	some scope in (({s.raw | some s in input.scopes} - granted) - refused)
}
