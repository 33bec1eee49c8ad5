"""Plans with the public client of openrouteservice: jobs, shipments and a matrix; fails where an answer is not VROOM's."""
import sys

import openrouteservice
from openrouteservice.optimization import Job, Shipment, ShipmentStep, Vehicle

base_url, key = sys.argv[1:]
client = openrouteservice.Client(key=f"Bearer {key}", base_url=base_url)

jobs = [Job(id=i, location=[3.3 + i / 100, 6.5], service=60, amount=[1], time_windows=[[0, 36000]]) for i in range(1, 6)]
vehicles = [
    Vehicle(id=i, profile="driving-car", start=[3.3, 6.5], end=[3.3, 6.5], capacity=[3], time_window=[0, 36000])
    for i in (1, 2)
]
answer = client.optimization(jobs=jobs, vehicles=vehicles, geometry=True)
assert answer["code"] == 0 and answer["unassigned"] == [], answer
served = sorted(step["id"] for route in answer["routes"] for step in route["steps"] if step["type"] == "job")
assert served == [1, 2, 3, 4, 5], answer
assert all(len(route["geometry"]) > 0 and route["steps"][0]["type"] == "start" for route in answer["routes"]), answer
line = openrouteservice.convert.decode_polyline(answer["routes"][0]["geometry"])
assert line["coordinates"][0] == [3.3, 6.5], line

shipment = Shipment(
    pickup=ShipmentStep(id=1, location=[3.35, 6.5], service=60),
    delivery=ShipmentStep(id=1, location=[3.31, 6.5], service=60),
    amount=[1],
    skills=[7],
    priority=1,
)
skilled = Vehicle(id=3, profile="driving-car", start=[3.3, 6.5], end=[3.3, 6.5], capacity=[3], skills=[7])
answer = client.optimization(shipments=[shipment], vehicles=[*vehicles, skilled])
assert [route["vehicle"] for route in answer["routes"]] == [3], answer
steps = [step["type"] for step in answer["routes"][0]["steps"]]
assert steps == ["start", "pickup", "delivery", "end"], answer

matrix = [[0, 5, 9], [5, 0, 5], [9, 5, 0]]
answer = client.optimization(
    jobs=[Job(id=1, location_index=1), Job(id=2, location_index=2)],
    vehicles=[Vehicle(id=1, profile="car", start_index=0, end_index=0)],
    matrix=matrix,
)
assert answer["summary"]["cost"] == 19, answer

try:
    client.optimization(jobs=[Job(id=1, location=[3.3, 91.0])], vehicles=vehicles)
except openrouteservice.exceptions.ApiError as error:
    assert error.status == 422 and "/jobs/0/location" in str(error.message), error
else:
    raise AssertionError("a place off the Earth was taken")
