# METADATA
# title: The requested scopes, by the client's grants and the registry
# description: >-
#   Sets of requested scopes, as they were written, for policies that replace the shipped one.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.grants

import data.m2m.scope

# METADATA
# description: Scopes that an allow grant covers completely.
covered contains raw if some raw in scope.covered(input.client.grants, input.scopes)

# METADATA
# description: >-
#   Scopes that a deny grant overlaps: a token for book:*:read would also open the book that is
#   denied.
denied contains raw if some raw in scope.denied(input.client.grants, input.scopes)

# METADATA
# description: Scopes whose resource is not in the registry. "*" is not the name of a resource.
unknown_resource contains raw if some raw in scope.unknown_resource(input.resources, input.scopes)

# METADATA
# description: Scopes whose resource is in the registry but does not have their action.
unknown_action contains raw if some raw in scope.unknown_action(input.resources, input.scopes)
