"""Whether a data set is whole and right, who can read it, and what it differs in from another.

`verify_command` reads every byte: `verifying` compares all files of a data set (`opened_split`), of which
`shard_check`, `record_check` and `image_check` read the shards and `consistency` what lies beside them; `verify_graph`
does so as a Beam job, and `marking` has the next run mend what is broken. `doctor` tries `public_readers`, compares
with the `i3d_preset`, and looks for `suspicions` in the ledger. `diffing` and `fingerprinting` go by `record_marks`.
"""
