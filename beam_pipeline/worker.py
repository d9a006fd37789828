"""A worker process as engines start one beside their own: `kinetics-worker`, for Beam's environment type PROCESS.

It keeps to the part of the contract of Beam's containers (https://s.apache.org/beam-fn-api-container-contract) that is
left where the package is installed already: ask where to report and what the job's options are, and work.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

_WAIT_S = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Works for one engine until it says that all is done; returns the exit status."""
    parser = argparse.ArgumentParser(prog="kinetics-worker", description="Started by an engine, not by people.")
    parser.add_argument("--id", required=True, help="what the engine calls this worker")
    parser.add_argument("--provision_endpoint", required=True, help="where the engine tells the rest")
    arguments, _ = parser.parse_known_args(argv)  # some engines say here, too, what they tell there
    info = _provision_info(arguments.provision_endpoint, arguments.id)
    from google.protobuf import json_format

    os.environ |= {
        "WORKER_ID": arguments.id,  # read when Beam's worker is imported
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{info.control_endpoint.url}"',
        "LOGGING_API_SERVICE_DESCRIPTOR": f'url: "{info.logging_endpoint.url}"',
    }
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
    return 0


def _provision_info(endpoint: str, worker_id: str) -> Any:
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        asked = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel).GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(), metadata=[("worker_id", worker_id)], timeout=_WAIT_S
        )
    return asked.info


if __name__ == "__main__":
    sys.exit(main())
