package m2m.token

# METADATA
# description: Tokens say whose they are. A client without the attribute has no such claim.
claims["tenant"] := input.client.attributes.tenant
