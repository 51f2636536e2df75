package m2m.token

granted contains scope.raw if {
	some scope in input.scopes
	scope.action == "read"
}
