package m2m.token

# METADATA
# description: Tokens have the client's tenant as a claim. The token of a client without the attribute has no such claim.
claims["tenant"] := input.client.attributes.tenant
