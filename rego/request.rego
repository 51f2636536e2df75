# METADATA
# title: The contract of request decisions
# description: >-
#   Every rule that a door with a policy evaluates, empty. Rules of the same name in other files of
#   this package add to these. A request is refused for every denial, and for every scope that the
#   token does not cover.
# scope: subpackages
# schemas:
#   - input: schema.request.input
package m2m.request

# METADATA
# description: 'Objects {"reason": …}: why the request is refused.'
denied contains denial if some denial in []

# METADATA
# description: Denials on trial, which are only logged and counted.
observed contains denial if some denial in []

# METADATA
# description: Scopes that the token must cover in addition to those of the route.
required contains scope if some scope in []

# METADATA
# description: Headers of the request to the upstream, by name; the door lists the allowed names.
headers[name] := value if some name, value in {}
