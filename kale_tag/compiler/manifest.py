"""A package as Kubernetes resources, for those who keep their cluster in Git.

The resources are `Pipeline` and `PipelineVersion` of `pipelines.kubeflow.org/v2beta1`, which KFP
takes since 2.14 where it keeps its pipelines in Kubernetes. Source: KEP-11551 and the types in
backend/src/crd/kubernetes/v2beta1 of kubeflow/pipelines.
"""

import hashlib
import json

from kale_tag.compiler.package import Package
from kale_tag.kale.pipeline import Pipeline

API_VERSION = "pipelines.kubeflow.org/v2beta1"

DIGITS = 12
"""Of the digest in the name of a version: enough that two versions never meet."""


def resources(made: Package, pipeline: Pipeline) -> list[dict[str, object]]:
    """The pipeline, and this version of it.

    A `PipelineVersion` cannot be changed once it is there, so its name has a digest of what it
    holds: another package is another version, the same package the same one.
    """
    content = json.dumps([made.spec, made.platform], sort_keys=True).encode(errors="replace")
    version = f"{pipeline.name}-{hashlib.sha256(content).hexdigest()[:DIGITS]}"
    about = {"description": pipeline.description} if pipeline.description else {}
    spec: dict[str, object] = {**about, "pipelineName": pipeline.name, "pipelineSpec": made.spec}
    if made.platform is not None:
        spec["platformSpec"] = made.platform
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Pipeline",
            "metadata": {"name": pipeline.name},
            "spec": dict(about),
        },
        {
            "apiVersion": API_VERSION,
            "kind": "PipelineVersion",
            "metadata": {"name": version},
            "spec": spec,
        },
    ]
