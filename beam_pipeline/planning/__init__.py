"""What a run will take, before it runs: clips, bytes, processor hours, wall-clock time, dollars.

command ─▶ census (what is asked for, what is there) ─▶ measuring (a sample, encoded) ─▶ estimates ─▶ report
                                                        typical (where there is none)    sharding, prices, advice
"""

DEFAULT_SAMPLE = 20
"""Clips that are encoded to measure what all of them will take."""
