"""The settings of a Kale 0.x notebook as Kale 2.3 accepts them.

Only settings that Kale 2.3 refuses are removed. Those that it accepts and ignores (Katib,
snapshots, volumes other than `pvc`) stay, with a warning. Source: `NotebookConfig` in
`kale/processors/nbprocessor.py` and the records in `kale/pipeline.py` of Kale 2.3.0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import listed
from kale_tag.fields.yaml_tree import Path
from kale_tag.kale import names, settings

IN_A_SPEC = "in a spec with `legacy: upgrade`, for one notebook or for all"

OLD = frozenset({"docker_image", "autosnapshot", "marshal_volume"})
"""The fields of Kale 0.x that Kale 2 refuses."""

MARSHAL_PATH = "/tmp/marshal"  # noqa: S108  Kale's, in the container of a step
"""The only `marshal_path` with which the steps of Kale 2.3 run."""


@dataclass(frozen=True, slots=True)
class SettingLoss:
    """A setting that Kale 2 has no equivalent for."""

    path: Path
    code: str  # of the warning
    message: str
    help: str


def upgraded_settings(
    old: Mapping[str, object], stem: str, *, has_steps: bool
) -> tuple[dict[str, object] | None, list[SettingLoss]]:
    """The new settings for *old*, None where they stay, and what is lost.

    Pipeline and experiment get names if the notebook has settings or *has_steps* of Kale 0.x; the
    pipeline is named after *stem* where it has no name.
    """
    new = {key: value for key, value in old.items() if key not in OLD}
    losses = [*_image(old, new), *_snapshots(old), *_katib(new), *_marshalling(new), *_volumes(new)]
    if has_steps or old:
        _name(new, stem)
    if not old and new:
        new = settings.initial(new, stem)
    return (None if new == dict(old) else new), losses


def _image(old: Mapping[str, object], new: dict[str, object]) -> Iterator[SettingLoss]:
    image, base = old.get("docker_image"), old.get("base_image")
    if not isinstance(image, str) or not image or image == base:
        return
    if base:
        yield _dropped_setting(
            "docker_image",
            f"is dropped in favour of `base_image`, which is `{base}`",
            "nothing to do, unless the steps need the other one: `pipeline: {base_image: IMAGE}` "
            f"{IN_A_SPEC}",
        )
        return
    new["base_image"] = image
    yield _old_image()


def _snapshots(old: Mapping[str, object]) -> Iterator[SettingLoss]:
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
        yield _no_snapshots(asked)


def _katib(new: dict[str, object]) -> Iterator[SettingLoss]:
    if new.get("katib_run") is True:
        yield _no_katib()
    problems = settings.problems({"katib_metadata": new.get("katib_metadata")})
    if (problem := next(problems, None)) is not None:
        _, diagnostic = problem
        del new["katib_metadata"]
        yield _dropped_setting(
            "katib_metadata",
            f"is dropped, since Kale 2.3 refuses it: {diagnostic.message}",
            "Kale 2.3 ignores it; move what you need into an experiment for Katib",
        )


def _marshalling(new: dict[str, object]) -> Iterator[SettingLoss]:
    path = new.get("marshal_path")
    if path is None or path == MARSHAL_PATH:
        return
    del new["marshal_path"]
    if path not in {"/marshal", ""}:  # what Kale 0.x had anyway
        yield _dropped_setting(
            "marshal_path",
            f"is dropped: steps of Kale 2.3 fail to pass variables unless it is {MARSHAL_PATH}",
            "if a cell reads or writes files there, change its path",
        )


def _volumes(new: dict[str, object]) -> Iterator[SettingLoss]:
    volumes = new.get("volumes")
    if not isinstance(volumes, list):
        return
    upgraded = [_volume(one) if isinstance(one, dict) else one for one in volumes]
    new["volumes"] = upgraded
    for position, (old, volume) in enumerate(zip(volumes, upgraded, strict=True)):
        if isinstance(volume, dict) and volume.get("type") in {"pv", "new_pvc", "clone"}:
            yield SettingLoss(
                ("volumes", position),
                "volume-type",
                f"Kale 2.3 mounts no volume of the type `{volume['type']}`, only `pvc`: "
                f"steps find no `{volume.get('mount_point')}`",
                "create a claim in the cluster, and name it "
                f"{IN_A_SPEC}: `pipeline: {{volumes: [{{type: pvc, name: CLAIM, mount_point: "
                "PATH}]}`; `volumes: []` does without",
            )
        elif isinstance(old, dict) and "type" not in old:
            yield SettingLoss(
                ("volumes", position),
                "volume-type",
                f"the volume `{old.get('name')}` has no type, which Kale 2.3 requires; it is now a "
                "`pvc`",
                "create a claim of that name in the cluster, unless it has one",
            )


def _volume(old: Mapping[str, object]) -> dict[str, object]:
    """One volume, with a type, and with annotations as Kale 2 has them."""
    new = dict(old)
    if "type" not in new:
        new["type"] = "pvc"
    if isinstance(annotations := new.get("annotations"), dict):
        new["annotations"] = [{"key": key, "value": text} for key, text in annotations.items()]
    return new


def _name(new: dict[str, object], stem: str) -> None:
    """Add the names of pipeline and experiment that Kale requires, as its panel makes them."""
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


def _old_image() -> SettingLoss:
    """A `docker_image`, which is the `base_image` of all steps now."""
    return SettingLoss(
        ("docker_image",),
        "old-image",
        "`docker_image` is now `base_image`, and steps of Kale 2.3 need Python 3.11 or newer, "
        "which images for Kale 0.x seldom have",
        f"`pipeline: {{base_image: IMAGE}}` {IN_A_SPEC}; `null` is Kale's default, python:3.12",
    )


def _no_snapshots(asked: Sequence[Path]) -> SettingLoss:
    """Settings that asked for snapshots of volumes."""
    names = [*dict.fromkeys(str(path[-1]) for path in asked)]
    does = "do" if names[1:] else "does"
    return SettingLoss(
        asked[0],
        "no-snapshots",
        f"Kale 2.3 makes no snapshots: {listed(names)} {does} nothing",
        "if you need them, write copies in a step, or take snapshots of the claim in the cluster",
    )


def _no_katib() -> SettingLoss:
    """A notebook that asked for an experiment of Katib's."""
    return SettingLoss(
        ("katib_run",),
        "no-katib",
        "Kale 2.3 runs no Katib experiments: `katib_run` does nothing",
        "write the experiment for Katib yourself, and set `pipeline: {katib_run: false}` in a spec",
    )


def _dropped_setting(key: str, why: str, hint: str) -> SettingLoss:
    """A setting that Kale 2.3 refuses, and that is removed."""
    return SettingLoss((key,), "dropped-setting", f"`{key}` {why}", hint)
