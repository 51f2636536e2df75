# METADATA
# title: As which client a workload may act
# description: >-
#   The issuer evaluates these rules for each verified assertion of an issuer that the config trusts. Beside the
#   clients that a rule of "clients" names, the workload may act as those whose identities in the registry list it.
package m2m.identity

# METADATA
# description: >-
#   Jobs of GitHub Actions must run in an environment. Write what must hold, and deny if it does not: a missing
#   claim then denies.
denied contains {"reason": "not in an environment"} if {
	input.identity.issuer == "https://token.actions.githubusercontent.com"
	not input.identity.claims.environment
}
