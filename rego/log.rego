# METADATA
# title: The contract of the decision log
# description: >-
#   The values to remove from a line of the decision log before it is written. The input is that line.
package m2m.log

# METADATA
# description: >-
#   JSON pointers (RFC 6901) to values to remove, such as "/input/client/attributes/email", or objects
#   {"op": "upsert", "path": …, "value": …} that replace a value. Only values below /input and
#   /result can be masked.
mask contains pointer if some pointer in []
