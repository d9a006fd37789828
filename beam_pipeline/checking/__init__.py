"""Whether a data set is whole, right, and what one takes it for.

`verify_command` reads every byte: `verifying` compares all files of a data set, of which `shard_check` and
`record_check` read the shards and `consistency` what lies beside them; `state_rescue` mends what a run goes on from.
"""
