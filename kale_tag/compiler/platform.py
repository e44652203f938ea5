"""What of a pipeline is Kubernetes' alone: the second document of a package.

Spellings are those that every backend since 2.1 reads; the newer ones beside them
(`secretNameParameter`, `pvcNameParameter`) stop older drivers. Source: `facts/kfp.md` section 5.
"""

from kale_tag.compiler.container import check_mapping
from kale_tag.compiler.notes import Notes
from kale_tag.kale import tags
from kale_tag.kale.pipeline import Pipeline, SecurityContext, Step, Volume


def executor_config(step: Step, root: Pipeline, notes: Notes) -> dict[str, object]:
    """The Kubernetes side of the executor of *step*, {} where there is none.

    Integers of 64 bits are text, as in all JSON that protobuf writes.
    """
    settings = step.settings
    made: dict[str, object] = {}
    if settings.secrets:
        made["secretAsEnv"] = [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": secret.key, "envVar": secret.env}],
            }
            for secret in settings.secrets
        ]
    if root.volumes:
        made["pvcMount"] = [
            {"constant": volume.name, "mountPath": volume.mount_point} for volume in root.volumes
        ]
    pod: dict[str, dict[str, object]] = {}
    for what, values in settings.pod.items():
        check_mapping(values, what, step, notes)
        if values and (place := tags.KINDS[what].pod):
            outer, inner = place
            pod.setdefault(outer, {})[inner] = dict(values)
    made |= pod
    if settings.timeout is not None:
        made["activeDeadlineSeconds"] = str(settings.timeout)
    if root.security is not None and (security := _security(root.security)):
        made["securityContext"] = security
    return made


def platform_document(
    executors: dict[str, dict[str, object]], root: Pipeline
) -> dict[str, object] | None:
    """The document for the configurations of *executors* and the pipeline; None if it is empty."""
    kubernetes: dict[str, object] = {}
    if executors:
        kubernetes["deploymentSpec"] = {"executors": executors}
    if root.ttl:
        kubernetes["pipelineConfig"] = {"resourceTtlOnCompletion": root.ttl}
    return {"platforms": {"kubernetes": kubernetes}} if kubernetes else None


def check_volumes(root: Pipeline, notes: Notes) -> None:
    """Note what no pod can mount."""
    at: dict[str, Volume] = {}
    for volume in root.volumes:
        what = f"the mount point of the volume `{volume.name}`"
        notes.check_text(volume.mount_point, what, volume.label)
        if not volume.mount_point.startswith("/") or ":" in volume.mount_point:
            notes.refuse(
                "invalid-mount-point",
                f"{what} is `{volume.mount_point}`; it must start with `/` and have no `:`",
                volume.label,
            )
        other = at.setdefault(volume.mount_point.rstrip("/"), volume)
        if other.name != volume.name:
            message = f"the volumes `{other.name}` and `{volume.name}` have the same mount point"
            message += f", `{volume.mount_point}`"
            notes.refuse("two-volumes", message, volume.label, other.label)


def _security(context: SecurityContext) -> dict[str, object]:
    made: dict[str, object] = {}
    if context.run_as_user is not None:
        made["runAsUser"] = str(context.run_as_user)
    if context.run_as_group is not None:
        made["runAsGroup"] = str(context.run_as_group)
    if context.run_as_non_root is not None:
        made["runAsNonRoot"] = context.run_as_non_root
    return made
