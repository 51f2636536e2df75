# METADATA
# title: The contract of request decisions
# description: >-
#   Every rule that a door with a policy asks for, empty. Rules of the same name in other files of
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
# description: What denied would hold if it were in force; it is logged and counted alone.
observed contains denial if some denial in []

# METADATA
# description: Scopes that the token must cover, beside those of the route.
required contains scope if some scope in []

# METADATA
# description: Headers of the request to the upstream, by name; the door says which there may be.
headers[name] := value if some name, value in {}
