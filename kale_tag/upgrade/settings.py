"""The settings of a Kale 0.x notebook as Kale 2.3 takes them.

Only what Kale 2.3 refuses is removed. What it takes and ignores (Katib, snapshots, volumes that
are not of type `pvc`) stays, with a warning.
"""

from collections.abc import Iterator, Mapping

from kale_tag.kale import names, settings
from kale_tag.upgrade.warnings import (
    IN_A_SPEC,
    Loss,
    dropped_setting,
    no_katib,
    no_snapshots,
    old_image,
)

OLD = frozenset({"docker_image", "autosnapshot", "marshal_volume"})
"""The fields of Kale 0.x at which Kale 2 stops."""

MARSHAL_PATH = "/tmp/marshal"  # noqa: S108  Kale's, in the container of a step
"""The only `marshal_path` with which the steps of Kale 2.3 run."""


def upgraded_settings(
    old: Mapping[str, object], stem: str, *, has_steps: bool
) -> tuple[dict[str, object] | None, list[Loss]]:
    """The settings that *old* become, None if they stay as they are, and what is lost.

    If the notebook has settings or *has_steps* in the old language, pipeline and experiment have
    names afterwards; a pipeline without a name is named after *stem*.
    """
    new = {key: value for key, value in old.items() if key not in OLD}
    losses = [*_image(old, new), *_snapshots(old), *_katib(new), *_marshalling(new), *_volumes(new)]
    if has_steps or old:
        _name(new, stem)
    if not old and new:
        new = settings.initial(new, stem)
    return (None if new == dict(old) else new), losses


def _image(old: Mapping[str, object], new: dict[str, object]) -> Iterator[Loss]:
    image, base = old.get("docker_image"), old.get("base_image")
    if not isinstance(image, str) or not image or image == base:
        return
    if base:
        yield dropped_setting(
            "docker_image",
            f"is dropped in favour of `base_image`, which is `{base}`",
            "nothing to do, unless the steps need the other one: `pipeline: {base_image: IMAGE}` "
            f"{IN_A_SPEC}",
        )
        return
    new["base_image"] = image
    yield old_image()


def _snapshots(old: Mapping[str, object]) -> Iterator[Loss]:
    volumes = old.get("volumes")
    asked: list[tuple[str | int, ...]] = [
        (key,) for key in ("autosnapshot", "snapshot_volumes") if old.get(key) is True
    ]
    asked += [
        ("volumes", position, "snapshot")
        for position, volume in enumerate(volumes if isinstance(volumes, list) else ())
        if isinstance(volume, dict) and volume.get("snapshot") is True
    ]
    if asked:
        yield no_snapshots(asked)


def _katib(new: dict[str, object]) -> Iterator[Loss]:
    if new.get("katib_run") is True:
        yield no_katib()
    problems = settings.problems({"katib_metadata": new.get("katib_metadata")})
    if (problem := next(problems, None)) is not None:
        _, diagnostic = problem
        del new["katib_metadata"]
        yield dropped_setting(
            "katib_metadata",
            f"is dropped, for Kale 2.3 would stop at it: {diagnostic.message}",
            "Kale 2.3 does nothing with it; what you need of it goes into the experiment for Katib",
        )


def _marshalling(new: dict[str, object]) -> Iterator[Loss]:
    path = new.get("marshal_path")
    if path is None or path == MARSHAL_PATH:
        return
    del new["marshal_path"]
    if path not in {"/marshal", ""}:  # what Kale 0.x had anyway
        yield dropped_setting(
            "marshal_path",
            f"is dropped: with any other than {MARSHAL_PATH} the steps of Kale 2.3 fail as soon as "
            "they write something",
            "nothing to do, unless a cell reads or writes files there: then give it another path",
        )


def _volumes(new: dict[str, object]) -> Iterator[Loss]:
    volumes = new.get("volumes")
    if not isinstance(volumes, list):
        return
    upgraded = [_volume(one) if isinstance(one, dict) else one for one in volumes]
    new["volumes"] = upgraded
    for position, (old, volume) in enumerate(zip(volumes, upgraded, strict=True)):
        if isinstance(volume, dict) and volume.get("type") in {"pv", "new_pvc", "clone"}:
            yield Loss(
                ("volumes", position),
                "volume-type",
                f"Kale 2.3 mounts no volume of the type `{volume['type']}`, only `pvc`: "
                f"steps find no `{volume.get('mount_point')}`",
                "make the claim in the cluster, and name it "
                f"{IN_A_SPEC}: `pipeline: {{volumes: [{{type: pvc, name: CLAIM, mount_point: "
                "PATH}]}`; `volumes: []` does without",
            )
        elif isinstance(old, dict) and "type" not in old:
            yield Loss(
                ("volumes", position),
                "volume-type",
                f"the volume `{old.get('name')}` has no type, which Kale 2.3 requires; it is "
                "a `pvc` now",
                "nothing to do if the cluster has a claim of that name; else create it there",
            )


def _volume(old: Mapping[str, object]) -> dict[str, object]:
    """One volume: with a type, and with annotations in Kale's form."""
    new = dict(old)
    if "type" not in new:
        new["type"] = "pvc"
    if isinstance(annotations := new.get("annotations"), dict):
        new["annotations"] = [{"key": key, "value": text} for key, text in annotations.items()]
    return new


def _name(new: dict[str, object], stem: str) -> None:
    """Give pipeline and experiment the names that Kale requires, as its panel makes them."""
    name = new.get("pipeline_name")
    if name is None or isinstance(name, str):
        wanted = {"pipeline_name": name}
        if name is None or any(settings.problems(wanted)):
            better = names.pipeline_name(name or "") or names.pipeline_name(stem)
            new["pipeline_name"] = better or "pipeline"
    experiment = new.get("experiment")
    other = experiment.get("name") if isinstance(experiment, dict) else None
    if new.get("experiment_name") is None or (new["experiment_name"] == "" and other):
        new["experiment_name"] = other if isinstance(other, str) and other else new["pipeline_name"]
    if other is not None and new["experiment_name"] != other:
        new.update(settings.with_experiment({"experiment_name": new["experiment_name"]}, new))
