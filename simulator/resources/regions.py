"""Regions of GPU clusters: which GPUs and drivers they offer. The API tells neither prices nor stock."""

from starlette.responses import Response

from simulator.call import Call, json_answer, route


def list_regions(call: Call) -> Response:
    return json_answer(
        {
            "regions": [
                {
                    "name": region.name,
                    "supported_instance_types": sorted(region.stock),
                    "driver_versions": [
                        {
                            "id": driver.version_id,
                            "os": driver.os,
                            "cuda_version": driver.cuda_version,
                            "nvidia_driver_version": driver.nvidia_driver_version,
                        }
                        for driver in region.drivers
                    ],
                }
                for region in call.world.compute.regions.values()
            ]
        }
    )


ROUTES = [route("/v1/compute/regions", list_regions)]
