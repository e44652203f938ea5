"""The fields of the Kubernetes platform document that each backend knows, from KFP's wheels.

`python tests/helpers/platform_fields.py` writes platform_fields.json. A backend reads with the
protos of its own time; the releases of kfp-kubernetes and kfp-pipeline-spec beside it have them.
"""

import ast
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

FIELDS = Path(__file__).with_suffix(".json")
RELEASES = {
    "2.4": ("kfp-kubernetes==1.4.0", "kfp-pipeline-spec==0.6.0"),
    "2.5": ("kfp-kubernetes==1.5.0", "kfp-pipeline-spec==0.7.0"),
    "2.14": ("kfp-kubernetes==2.14.0", "kfp-pipeline-spec==2.14.0"),
    "2.15": ("kfp-kubernetes==2.15.0", "kfp-pipeline-spec==2.15.0"),
    "2.16": ("kfp-kubernetes==2.16.0", "kfp-pipeline-spec==2.16.0"),
    "2.17": ("kfp-kubernetes==2.17.0", "kfp-pipeline-spec==2.17.0"),
}
ROOTS = ("KubernetesExecutorConfig", "PlatformSpec")


def collect() -> dict[str, dict[str, str]]:
    """By message and field: the message that it holds or `-`, and the versions if not all do."""
    known: dict[str, dict[str, tuple[str, list[str]]]] = {}
    for version, releases in RELEASES.items():
        messages = {name: one for release in releases for name, one in _messages(release)}
        waiting, seen = list(ROOTS), set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in messages:
                continue
            seen.add(name)
            for field in messages[name].field:
                held = field.type_name.rpartition(".")[2]
                waiting.append(held)
                key = field.name.split("_")
                spelled = key[0] + "".join(part.capitalize() for part in key[1:])
                entry = known.setdefault(name, {}).setdefault(spelled, (held, []))
                entry[1].append(version)
    return {
        name: {
            field: " ".join([held or "-", *(versions if len(versions) < len(RELEASES) else ())])
            for field, (held, versions) in sorted(fields.items())
        }
        for name, fields in sorted(known.items())
    }


def _messages(release: str) -> Iterator[tuple[str, DescriptorProto]]:
    with TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        subprocess.run([*download, folder, release], check=True, capture_output=True)
        for text in _modules(next(Path(folder).iterdir())):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and "AddSerializedFile" in ast.dump(node.func):
                    data = ast.literal_eval(node.args[0])
                    yield from _nested(FileDescriptorProto.FromString(data).message_type)


def _modules(archive: Path) -> Iterator[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as whole:
            for name in whole.namelist():
                if name.endswith("_pb2.py"):
                    yield whole.read(name).decode()
    else:
        with tarfile.open(archive) as whole_tar:
            for member in whole_tar:
                if member.name.endswith("_pb2.py"):
                    file = whole_tar.extractfile(member)
                    assert file is not None
                    yield file.read().decode()


def _nested(messages: Any) -> Iterator[tuple[str, DescriptorProto]]:
    for one in messages:
        yield one.name, one
        yield from _nested(one.nested_type)


if __name__ == "__main__":
    FIELDS.write_text(f"{json.dumps(collect(), indent=1)}\n", "utf-8")
