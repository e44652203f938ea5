"""A model of KFP's backend: what its compiler, drivers, launcher and the kubelet do to a package.

It follows the Go sources of each version as far as packages of ours go. It is a model: no cluster
takes part. What differs between the versions is in `VERSIONS`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packages import documents
from platform_fields import FIELDS, RELEASES

KNOWN: dict[str, dict[str, str]] = json.loads(FIELDS.read_text("utf-8"))
ARGUMENT = 131_071
"""Bytes of one argument of a process, and of one variable of its environment."""

PODS = {"KFP_POD_NAME": "pod-1", "KFP_POD_UID": "uid-1", "NAMESPACE": "team"}
"""Variables that every pod of a run has."""

LOGS = {"executor-logs": {"artifactType": {"schemaTitle": "system.Artifact"}}}
TASK = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Rules:
    """In what the versions differ."""

    by_task_name: bool = False
    """A producer is found by `taskInfo.name`, in the whole run, where that must be unique."""

    inner_defaults: bool = True
    """A sub-pipeline knows the defaults of its own parameters."""

    logs: bool = True
    """Each task has the output `executor-logs`."""

    config: str = "refused"
    """What an unknown field for the pod of a step does: refused, failed (the step), ignored."""

    template_twice: bool = False
    """Argo up to 3.5 holds the container twice in a variable of the driver's pod."""

    retries: str = "all"
    """Which tasks are retried: all, those of the root, none."""

    claim_annotations: bool = True
    """A claim can have annotations; the driver panics otherwise."""


VERSIONS = {
    "2.4": Rules(True, False, False, "failed", True, "none", False),
    "2.5": Rules(True, False, True, "ignored", True, "root", False),
    **dict.fromkeys(("2.14", "2.15", "2.16"), Rules(claim_annotations=False)),
    "2.17": Rules(),
}

USER = 65534
"""As whom the steps of a hardened pod run: `nobody`."""

READ_ONLY = """
mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / && cd / || exit 77
unset OLDPWD
for one in /tmp /var/tmp /dev/shm; do mount -o remount,bind,ro $one 2>/dev/null || true; done
"""
"""Makes all read-only but the folder $0, in a mount namespace of its own."""


class Refused(Exception):  # noqa: N818  a backend's word for it
    """The backend does not start the run or a step."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A task that the backend came to."""

    name: str  # with those of the sub-pipelines around it
    task: dict[str, Any]
    component: dict[str, Any]
    started: bool = True
    code: int = 0
    log: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)  # artifacts by name of the output
    claims: Mapping[str, str] = field(
        default_factory=dict
    )  # by the folder that they are mounted at


class Backend:
    """A run of the package *text* on the backend *version*; its steps write below *folder*.

    In a *hardened* cluster pods have a read-only file system, an empty environment, and no root.
    """

    def __init__(
        self, text: str, folder: Path, version: str = "2.17", *, hardened: bool = False
    ) -> None:
        self.hardened = hardened
        self.spec, *platform = map(stored, documents(text))
        self.folder, self.version, self.rules = folder, version, VERSIONS[version]
        unknown = [one for document in platform for one in self._unknown("PlatformSpec", document)]
        self.config: dict[str, Any] = {}
        if platform and not unknown:  # a document with an unknown field is dropped without a word
            self.config = platform[0]["platforms"]["kubernetes"]
        self.failed = False
        self.names: set[str] = set()

    def run(self, arguments: Mapping[str, Any] | None = None) -> Iterator[Visit]:
        """The tasks in an order in which they may run; raises `Refused`."""
        self._check_pipeline()
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        defaults = {
            name: one["defaultValue"] for name, one in declared.items() if "defaultValue" in one
        }
        given = json.loads(self._passed({**defaults, **(arguments or {})}, "the parameters"))
        self._passed(self.spec["root"], "the root component")
        if self.version != "2.4":  # an optional parameter without a value is null
            given |= {name: None for name in declared if name not in given}
        yield from self._dag(self.spec["root"], {"parameterValues": given, "artifacts": {}})

    # Before the run

    def _check_pipeline(self) -> None:
        dags = [self.spec["root"], *self.spec["components"].values()]
        for tasks in (one["dag"]["tasks"] for one in dags if "dag" in one):
            for name in tasks:
                if TASK.fullmatch(name) is None:
                    raise Refused(f"Argo refuses the name {name}")
                if f"{name}-driver" in tasks:
                    raise Refused(f"Argo: {name}-driver is not unique")
        if self.rules.config == "refused":
            for label in self._executors():
                self._pod_config(label)

    def _executors(self) -> dict[str, Any]:
        executors: dict[str, Any] = self.config.get("deploymentSpec", {}).get("executors", {})
        return executors

    def _pod_config(self, label: str) -> dict[str, Any]:
        """What the package sets for the pod of a step, as far as the version knows it."""
        config: dict[str, Any] = self._executors().get(label, {})
        unknown = list(self._unknown("KubernetesExecutorConfig", config))
        if unknown and self.rules.config != "ignored":
            raise Refused(f"{label}: unknown field {unknown[0]}")
        return {key: value for key, value in config.items() if key not in unknown}

    def _unknown(self, message: str, value: Any) -> Iterator[str]:
        """Fields of *value*, a *message*, that the protos of the version do not have."""
        if isinstance(value, list):
            for entry in value:
                yield from self._unknown(message, entry)
        elif message.endswith("Entry"):
            for entry in value.values():
                yield from self._unknown(KNOWN[message]["value"].split()[0], entry)
        elif message in KNOWN:
            for name, entry in value.items():
                held, *versions = KNOWN[message].get(name, "- none").split()
                if self.version in (versions or RELEASES):
                    yield from self._unknown(held, entry)
                else:
                    yield name

    def _passed(self, value: Any, what: str) -> str:
        """*value* as the driver gets it: JSON in one argument, which the kubelet expands."""
        text = go_json(value)
        size = len(text.encode())
        if size > ARGUMENT:
            raise Refused(f"{what}: {size} bytes, more than an argument may have")
        return expand(text, PODS)

    # Drivers

    def _dag(self, component: Any, given: Any, inside: str = "") -> Iterator[Visit]:
        """The tasks of a sub-pipeline; *given* gets what it returns as `outputs`."""
        made: dict[tuple[str, str], Any] = {}
        waiting = dict(component["dag"]["tasks"])
        while waiting:
            key, task = next(
                (key, task)
                for key, task in waiting.items()
                if not set(task.get("dependentTasks", ())) & set(waiting)
            )
            del waiting[key]
            name, inner = inside + key, self.spec["components"][task["componentRef"]["name"]]
            if self.failed:
                yield Visit(name, task, inner, started=False)
                continue
            registered = task["taskInfo"]["name"] if self.rules.by_task_name else key
            if self.rules.by_task_name and registered in self.names:
                raise Refused(f"two tasks have the same task name {registered}")
            self.names.add(registered)
            inputs = self._inputs(name, task, inner, given, made)
            if "dag" in inner:
                yield Visit(name, task, inner)
                yield from self._dag(inner, inputs, f"{name}/")
                outputs = inputs["outputs"]
            else:
                visit = self._step(name, task, inner, inputs, (given, made))
                self.failed = visit.code != 0
                outputs = visit.made
                yield visit
            made |= {(registered, output): one for output, one in outputs.items()}
        chosen = component["dag"].get("outputs", {}).get("artifacts", {})
        given["outputs"] = {
            output: self._found(made, selector["producerSubtask"], selector["outputArtifactKey"])
            for output, one in chosen.items()
            for selector in one["artifactSelectors"]
            if not self.failed
        }

    def _inputs(self, name: str, task: Any, component: Any, given: Any, made: Any) -> Any:
        """The inputs of a task: *given* are those of the DAG, *made* is what its tasks returned."""
        values, artifacts = {}, {}
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            if "runtimeValue" in source:
                values[key] = source["runtimeValue"]["constant"]
                continue
            if "taskOutputParameter" in source:
                values[key] = self._claim(source, given, made)
                continue
            outer = source["componentInputParameter"]
            if outer not in given["parameterValues"]:
                raise Refused(f"{name}: parent DAG does not have input parameter {outer}")
            value = given["parameterValues"][outer]
            if value is not None:
                values[key] = value
            elif not declared[key].get("isOptional"):
                raise Refused(f"{name}: the resolved input parameter is null: {outer}")
        if self.rules.inner_defaults:
            defaults = {
                key: one["defaultValue"] for key, one in declared.items() if "defaultValue" in one
            }
            values = defaults | values
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            if "componentInputArtifact" in source:
                artifacts[key] = given["artifacts"][source["componentInputArtifact"]]
            else:
                origin = source["taskOutputArtifact"]
                found = self._found(made, origin["producerTask"], origin["outputArtifactKey"])
                artifacts[key] = {"artifacts": [found]}
        return {"parameterValues": values, "artifacts": artifacts}

    def _found(self, made: Mapping[tuple[str, str], Any], producer: str, output: str) -> Any:
        if (producer, output) not in made:
            raise Refused(f"cannot find producer task {producer} or its output {output}")
        found = made[producer, output]
        return found["artifacts"][0] if "artifacts" in found else found

    def _claim(self, source: Any, given: Any, made: Any) -> Any:
        """The name of a claim that a pod mounts, or a sub-pipeline is given."""
        if "constant" in source:
            return source["constant"]
        if "componentInputParameter" in source:
            return given["parameterValues"][source["componentInputParameter"]]
        output = source["taskOutputParameter"]
        return self._found(made, output["producerTask"], output["outputParameterKey"])

    def _created(self, name: str, task: Any, component: Any, values: Any) -> Visit:
        """A claim, which the driver creates."""
        if values.get("annotations") and not self.rules.claim_annotations:
            raise Refused(f"the driver panics at the annotations of {name}")
        assert values["access_modes"], "parameter access_modes not provided"
        claim = f"uuid-{len(self.names)}{values['pvc_name_suffix']} {values['size']} "
        claim += values.get("storage_class_name", "standard")
        return Visit(name, task, component, made={"name": claim})

    def _step(self, name: str, task: Any, component: Any, inputs: Any, around: Any) -> Visit:
        label = component["executorLabel"]
        container = self.spec["deploymentSpec"]["executors"][label]["container"]
        if container["image"] == "argostub/createpvc":
            return self._created(name, task, component, inputs["parameterValues"])
        text = self._passed(container, f"the container of {name}")
        if self.rules.template_twice and len(json.dumps(text).encode()) * 2 > ARGUMENT:
            raise Refused(f"the container of {name} is twice in ARGO_TEMPLATE, which is too much")
        config = self._pod_config(label)
        claims = {one["mountPath"]: self._claim(one, *around) for one in config.get("pvcMount", ())}
        folder = self.folder / name
        folder.mkdir(parents=True)
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        artifacts = {
            key: {
                "artifacts": [
                    {
                        "name": key,
                        "type": one["artifactType"],
                        "uri": f"{folder}/{key}",
                        "metadata": {},
                    }
                ]
            }
            for key, one in (outputs | (LOGS if self.rules.logs else {})).items()
        }
        asked = {"inputs": inputs, "outputs": {"outputFile": f"{folder}/output_metadata.json"}}
        if artifacts:  # protobuf leaves out what is empty
            asked["outputs"]["artifacts"] = artifacts
        tries = 1
        if self.rules.retries == "all" or (self.rules.retries == "root" and "/" not in name):
            tries += task.get("retryPolicy", {}).get("maxRetryCount", 0)
        log, code = "", 1
        while code and tries:
            code, more = self._start(json.loads(text), config, go_json(asked), folder)
            log, tries = log + more, tries - 1
        left = folder / "output_metadata.json"
        told = json.loads(left.read_text("utf-8"))["artifacts"] if left.exists() else {}
        made = {
            key: {"type": outputs[key]["artifactType"], "metadata": {}} | one["artifacts"][0]
            for key, one in told.items()
            if key in outputs
        }
        return Visit(name, task, component, code=code, log=log, made=made, claims=claims)

    # The pod of a step

    def _start(self, container: Any, config: Any, asked: str, folder: Path) -> tuple[int, str]:
        """Start the program of a step, as the kubelet and the launcher do."""
        environ: dict[str, str] = {}
        for one in container.get("env", ()):
            environ[one["name"]] = expand(one["value"], environ)
        for what, source in (("secretAsEnv", "secret"), ("configMapAsEnv", "configMap")):
            for one in config.get(what, ()):
                for entry in one["keyToEnv"]:
                    value = f"{one[f'{source}Name']}/{entry[f'{source}Key']}"
                    environ[entry["envVar"]] = value
        environ |= {} if self.hardened else PODS
        asked = expand(asked, environ)
        if len(asked.encode()) > ARGUMENT:
            raise Refused(f"the inputs of {folder.name} are more than an argument may have")
        words = [
            expand(word, environ).replace("{{$}}", asked)
            for word in (*container["command"], *container["args"])
        ]
        work = folder / "work"
        work.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        if self.hardened:
            words = hardened(words, self.folder)
        ended = subprocess.run(
            words,
            cwd=work,
            env={"PATH": path, "KALE_TAG_NO_PIP": "1", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        shutil.rmtree(work)
        return ended.returncode, ended.stdout.decode("utf-8")


def go_json(value: Any) -> str:
    """JSON as Go writes it: some characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """*text* as the kubelet passes it on: `$(NAME)` is a variable, `$$` is `$`."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else environ.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", value, text)


def stored(value: Any) -> Any:
    """A document as a server keeps it, whose writer of YAML loses some characters."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.replace("\x85", " ").replace("\u2028 ", "\u2028"))


def hardened(words: list[str], folder: Path) -> list[str]:
    """The command *words* as a user who is not root, who can write below *folder* only."""
    root = os.geteuid() == 0
    if root:
        for one in (folder, *folder.rglob("*")):
            os.chown(one, USER, USER)
        ids = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        words = ["setpriv", *ids, *words]
    space = ["unshare", "--mount", *([] if root else ["--map-root-user"])]
    return [*space, "sh", "-c", f'{READ_ONLY}exec "$@"', str(folder), *words]
