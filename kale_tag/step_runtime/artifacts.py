"""The files that this step writes for other steps and for KFP."""

import json, os, re


def place(side, name):
    """The artifact of a variable, and its file in this container."""
    artifact = side["artifacts"][ir_name(name, side)]["artifacts"][0]
    path = re.sub("^(gcs|minio|s3)://", r"/\1/", re.sub("^gs:", "gcs:", artifact["uri"]))
    return artifact, artifact.get("customPath") or artifact.get("custom_path") or path


def create(path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return open(path, "w+b")


def in_words(error):
    return f"{type(error).__name__}: {error}"


def hand_on():
    """Save the outputs and metrics, all that can be saved."""
    states = keep_states() if "states" in SPEC else {}
    errors, todo = [], [(save, name) for name in SPEC.get("out", ())]
    for give, name in [*todo, *((measure, name) for name in SPEC.get("metrics", ()))]:
        try:
            give(name)
        except StepError as error:
            errors += error.args
    if errors:
        raise StepError(*errors)
    if states:
        save_states(states)
    if "save_together" in globals():
        save_together(SPEC.get("together", ()))


def tell_outputs(state):
    """Write the report, and what the launcher reads."""
    if "report" in SPEC:
        with create(place(OUTPUTS, SPEC["report"])[1]) as file:
            file.write(PAGE.whole(state).encode("utf-8", "replace"))
    for side in OUTPUTS["artifacts"].values():
        (given,) = side["artifacts"]
        kept = {key: given[key] for key in ("name", "uri", "metadata") if key in given}
        side["artifacts"] = [kept]
    with create(OUTPUTS["outputFile"]) as file:
        file.write(json.dumps({"artifacts": OUTPUTS["artifacts"]}).encode())
