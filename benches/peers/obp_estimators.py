"""Open Bandit Pipeline's side of benches/off_policy.sh: obp_estimators.py LOG [ANSWERS], prints RESULT {json}.

Estimates from the log that Dhow wrote, and, given the file with Dhow's `RESULT` line, ends with an error where an
estimate differs by more than 1e-6. The estimators' modules are loaded without the rest of the package, which needs
PyTorch and other packages that no estimator uses.
"""

import importlib.machinery
import importlib.util
import json
import sys
import types

import numpy as np

CLIP = 2.0
TOLERANCE = 1e-6


def package(name, path):
    """A package whose modules can be imported although its own `__init__` is not run."""
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
    return module


folder = importlib.util.find_spec("obp").submodule_search_locations[0]
torch = types.ModuleType("torch")
torch.__spec__ = importlib.machinery.ModuleSpec("torch", None)
torch.Tensor = torch.tensor = type("Tensor", (), {})
sys.modules["torch"] = torch
package("obp", folder)
package("obp.ope", f"{folder}/ope")

from obp.ope.estimators import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting
from obp.ope.estimators_slate import (
    SelfNormalizedSlateIndependentIPS,
    SelfNormalizedSlateStandardIPS,
    SlateIndependentIPS,
    SlateStandardIPS,
)


def single(log):
    choices = {
        "reward": np.array(log["rewards"]),
        "action": np.array(log["actions"]),
        "pscore": np.array(log["propensities"]),
        "action_dist": np.array(log["targets"])[:, :, None],
    }
    predictions = {"estimated_rewards_by_reg_model": np.array(log["predictions"])[:, :, None]}
    return {
        "ipw": InverseProbabilityWeighting().estimate_policy_value(**choices),
        "ipw_clipped": InverseProbabilityWeighting(lambda_=CLIP).estimate_policy_value(**choices),
        "snipw": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**choices),
        "dr": DoublyRobust().estimate_policy_value(**choices, **predictions),
        "dr_clipped": DoublyRobust(lambda_=CLIP).estimate_policy_value(**choices, **predictions),
    }


def slates(log):
    places = log["places"]
    propensities, targets = np.array(log["propensities"]), np.array(log["targets"])
    count = len(propensities) // places
    common = {
        "slate_id": np.repeat(np.arange(count), places),
        "reward": np.array(log["rewards"]),
        "position": np.tile(np.arange(places), count),
    }
    whole = [np.repeat(values.reshape(count, places).prod(axis=1), places) for values in (propensities, targets)]
    of_slates = {**common, "pscore": whole[0], "evaluation_policy_pscore": whole[1]}
    of_places = {**common, "pscore_item_position": propensities, "evaluation_policy_pscore_item_position": targets}
    return {
        "sips": SlateStandardIPS(len_list=places).estimate_policy_value(**of_slates),
        "snsips": SelfNormalizedSlateStandardIPS(len_list=places).estimate_policy_value(**of_slates),
        "iips": SlateIndependentIPS(len_list=places).estimate_policy_value(**of_places),
        "sniips": SelfNormalizedSlateIndependentIPS(len_list=places).estimate_policy_value(**of_places),
    }


def main():
    log = json.load(open(sys.argv[1]))
    answers = {name: float(value) for name, value in {**single(log["single"]), **slates(log["slates"])}.items()}
    if len(sys.argv) > 2:
        lines = [line for line in open(sys.argv[2]) if line.startswith("RESULT ")]
        ours = json.loads(lines[-1][7:])
        if set(ours) != set(answers):
            sys.exit(f"other estimates: {sorted(set(ours) ^ set(answers))}")
        answers["largest_difference"] = max(abs(ours[name] - answers[name]) for name in ours)
        if not answers["largest_difference"] <= TOLERANCE:
            sys.exit(f"the estimates differ: {ours} and {answers}")
    print("RESULT", json.dumps(answers))


if __name__ == "__main__":
    main()
