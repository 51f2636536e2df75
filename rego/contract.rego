# METADATA
# title: The contract of token decisions
# description: >-
#   Every rule that the issuer asks for, empty. Rules of the same name in other files of this
#   package add to these, so that nothing is ever undefined, whether the shipped rules are
#   loaded or not.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.token

# METADATA
# description: Requested scopes, as they were written, that the token may hold.
granted contains scope if some scope in []

# METADATA
# description: 'Objects {"scope": …, "reason": …}: requested scopes that are refused, whoever grants them.'
rejected contains refusal if some refusal in []

# METADATA
# description: >-
#   What rejected would hold if it were in force: such scopes are logged and counted, and granted all
#   the same. So a new rule is tried on real requests first.
observed contains refusal if some refusal in []

# METADATA
# description: What a request without a scope asks for.
default_scopes contains scope if some scope in []

# METADATA
# description: Extra claims of the token, by name.
claims[name] := value if some name, value in {}

# METADATA
# description: Lifetimes in seconds, of which the smallest counts.
ttl contains seconds if some seconds in []
