# METADATA
# title: The contract of the decision log
# description: >-
#   What is taken out of a line of the decision log before it is written. The input is that line.
package m2m.log

# METADATA
# description: >-
#   JSON pointers (RFC 6901) to what is removed, such as "/input/client/attributes/email", or objects
#   {"op": "upsert", "path": …, "value": …} that put another value in its place. Only what is below
#   /input and /result can be masked.
mask contains pointer if some pointer in []
