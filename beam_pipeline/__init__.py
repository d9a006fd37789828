"""Turns a Kinetics-style annotation list into sharded TFRecords of clips, as an Apache Beam job.

`python -m beam_pipeline --help` lists the commands. A reader's way through the code:

    cli ─▶ run ─▶ pipeline (the graph) ─▶ annotations, store, shards, ledger ─▶ media ─▶ records
"""
