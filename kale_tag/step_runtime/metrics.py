"""Variables whose values are shown as metrics."""

import math


def measure(metric):
    name = SPEC["metrics"][metric]
    try:
        value = NS[name].item() if hasattr(NS[name], "item") else NS[name]
        if type(value) not in (bool, int, str):
            value = float(value)
        if type(value) is not str and not math.isfinite(value):
            value = str(value)  # JSON has no such number
    except Exception as error:
        raise StepError(f"cannot report `{name}` as a metric: {in_words(error)}") from error
    print("metric", metric, "=", value)
    artifact, _ = place(OUTPUTS, SPEC.get("metrics_artifact", "kale_tag_metrics"))
    artifact["metadata"] = {**artifact.get("metadata", {}), metric: value}
