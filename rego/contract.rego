# METADATA
# title: The contract of token decisions
# description: >-
#   Every rule that the issuer evaluates, empty. Rules of the same name in other files of this
#   package add to these. So every rule is defined, whether the shipped rules are loaded or
#   not.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.token

# METADATA
# description: Requested scopes, as they were written, that the token may hold.
granted contains scope if some scope in []

# METADATA
# description: 'Objects {"scope": …, "reason": …}: requested scopes that are rejected, whatever grants them.'
rejected contains refusal if some refusal in []

# METADATA
# description: >-
#   Rejections on trial: such scopes are logged and counted, but still granted. Use it to test a new
#   rule on real requests first.
observed contains refusal if some refusal in []

# METADATA
# description: >-
#   Objects {"scope": …, "reason": …}: requested scopes that the token of an exchange may hold although its subject does
#   not have them. The rule grants nothing: the scope must still be granted to the client.
beyond_subject contains widening if some widening in []

# METADATA
# description: The scopes of a request without a scope.
default_scopes contains scope if some scope in []

# METADATA
# description: Extra claims of the token, by name.
claims[name] := value if some name, value in {}

# METADATA
# description: Lifetimes in seconds; the smallest applies.
ttl contains seconds if some seconds in []
