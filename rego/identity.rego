# METADATA
# title: The contract of identity decisions
# description: >-
#   Every rule that the issuer evaluates for a verified assertion of a trusted issuer, empty. Rules of
#   the same name in other files of this package add to these. The identity may act as the clients of
#   the registry that list it, and as those that a rule names, unless a rule denies it.
# scope: subpackages
# schemas:
#   - input: schema.identity.input
package m2m.identity

# METADATA
# description: The client_ids of clients that the identity may act as, beside those that the registry lists.
clients contains id if some id in []

# METADATA
# description: 'Objects {"reason": …}: why the identity may act as no client.'
denied contains denial if some denial in []
