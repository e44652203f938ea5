"""What programs that clean notebooks do to tags and settings, as data.

Nothing here is from hearsay: every line was found by running the program, in the version that
stands beside it, on a tagged notebook; `tests/lint/test_cleaners.py` runs them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

TAGS: Final = "tags"
SETTINGS: Final = "kubeflow_notebook"

BLANKS: Final = r"\s+"
COMMAS: Final = ","
PYTHON: Final = r"[\s,{}()\[\]'\"]+"  # traitlets takes `tags`, `{'tags'}` and `['tags']`


@dataclass(frozen=True, slots=True)
class Option:
    """A way to tell a program something: a flag, a key in its configuration, or both.

    It is said when a flag is given, or the key is true. With *value*, only when that is among the
    values; *split* is the pattern between several in one word, *inside* lets `tags.x` count as
    `tags`. *or_bare* lets a flag without values count too, *repeats* says that of
    several uses of a flag not only the last one counts. With *pattern*, it is said when that is
    found in a word: so it is with programs that are told in a language of their own.
    """

    flags: tuple[str, ...] = ()
    key: str = ""
    value: str = ""
    split: str = ""
    inside: bool = False
    or_bare: bool = False
    repeats: bool = False
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What a program does to one part of a notebook: the tags of cells, or the settings.

    It deletes the part by *default*, or when one of *deleting* is said, unless one of *keeping* is;
    and if one of *always* is said, whatever else is. *args* are the words that keep the part, or
    *line* is the key in the configuration that does. Where there is neither, nothing keeps it but
    to take away what deletes it.
    """

    default: bool = False
    deleting: tuple[Option, ...] = ()
    keeping: tuple[Option, ...] = ()
    always: tuple[Option, ...] = ()
    args: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file, in the top folder of a repository, with the configuration of a program in *table*.

    Where nothing else says that the program is used, the file does if it has the *key*.
    """

    name: str
    table: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Cleaner:
    """A program; *seen* is the version that was looked at, *ids* what it does to ids of cells.

    *programs* are the words that start it; for `python -m` they are the same. *hooks* are the names
    of its hooks for pre-commit, with the words that each stands for. *checking* are words with
    which it changes nothing, and fails where it would. Only if one of *when* is said does it write
    a notebook. With *before*, the facts hold for versions below that one.
    """

    name: str
    seen: str
    tags: Part
    settings: Part
    programs: tuple[tuple[str, ...], ...]
    hooks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    checking: tuple[str, ...] = ()
    configs: tuple[ConfigFile, ...] = ()
    git_key: str = ""
    before: int = 0
    when: tuple[Option, ...] = ()
    ids: Literal["kept", "renumbered", "deleted"] = "kept"


def _both(option: Option, settings_key: str, settings_flag: str = "") -> tuple[Option, Option]:
    """*option*, which names tags, and its like for the settings."""
    flags = (settings_flag,) if settings_flag else option.flags
    return option, replace(option, flags=flags, key=settings_key, value=SETTINGS)


def _strips(extra: Sequence[str], keep: Sequence[str], split: str, keep_args: str) -> list[Part]:
    """The parts of a program in the family of nbstripout: it deletes the keys that it is told."""
    made = []
    for path in (f"cell.metadata.{TAGS}", f"metadata.{SETTINGS}"):
        deleting = Option(tuple(extra), "extra_keys", path, split, inside=True)
        keeping = Option(
            tuple(keep), "keep_keys" if keep_args == "--keep-keys" else "", path, split
        )
        made.append(Part(deleting=(deleting,), keeping=(keeping,), args=(keep_args, path)))
    return made


_NB_CLEAN = Cleaner(
    name="nb-clean",
    seen="5.0.0",
    tags=Part(
        default=True,
        keeping=(
            Option(("-m", "--preserve-cell-metadata"), value=TAGS, or_bare=True),
            Option(("--preserve-cell-metadata-field",), value=TAGS, repeats=True),
        ),
        args=("--preserve-cell-metadata-field", TAGS),
    ),
    settings=Part(deleting=(Option(("-M", "--remove-all-notebook-metadata")),)),
    programs=(("nb-clean", "clean"), ("nb-clean", "check"), ("nb_clean", "clean")),
    hooks=(("nb-clean", ("nb-clean", "clean")),),
    checking=("check",),
)
_NB_CLEAN_4 = replace(
    _NB_CLEAN,
    seen="4.0.1",
    before=5,
    tags=replace(_NB_CLEAN.tags, args=("--preserve-cell-metadata", TAGS, "--")),
)

_NBDEV_ALL = (Option(("--clear-all", "--clear_all"), "clear_all"),)
_NBDEV = Cleaner(
    name="nbdev",
    seen="3.3.26",
    tags=Part(
        default=True,
        keeping=(Option(key="allowed_cell_metadata_keys", value=TAGS),),
        always=_NBDEV_ALL,
        line="allowed_cell_metadata_keys",
    ),
    settings=Part(
        default=True,
        keeping=(Option(key="allowed_metadata_keys", value=SETTINGS),),
        line="allowed_metadata_keys",
    ),
    programs=(("nbdev-clean",), ("nbdev_clean",)),
    hooks=(("nbdev_clean", ("nbdev_clean",)), ("nbdev-clean", ("nbdev-clean",))),
    configs=(ConfigFile("pyproject.toml", "tool.nbdev"),),
)

_NBDEV_2 = replace(
    _NBDEV,
    seen="2.4.7",
    before=3,
    configs=(ConfigFile("settings.ini", "DEFAULT", "lib_name"),),
)

_KEEP_TAGS, _KEEP_SETTINGS = _both(
    Option(("--cell-meta-keep",), "cell_meta_keep", TAGS, repeats=True),
    "nb_meta_keep",
    "--nb-meta-keep",
)
_DATABOOKS = Cleaner(
    name="databooks",
    seen="1.4.0",
    tags=Part(default=True, keeping=(_KEEP_TAGS,), args=("--cell-meta-keep", TAGS)),
    settings=Part(default=True, keeping=(_KEEP_SETTINGS,), args=("--nb-meta-keep", SETTINGS)),
    programs=(("databooks", "meta"),),
    hooks=(("databooks-meta", ("databooks", "meta", "--yes")),),
    checking=("--check",),
    configs=(ConfigFile("pyproject.toml", "tool.databooks.meta"),),
    ids="deleted",
)

_NBSTRIPOUT_PARTS = _strips(
    ["--extra-keys"], ["--keep-metadata-keys"], BLANKS, "--keep-metadata-keys"
)
_NBSTRIPOUT = Cleaner(
    name="nbstripout",
    seen="0.9.1",
    tags=_NBSTRIPOUT_PARTS[0],
    settings=_NBSTRIPOUT_PARTS[1],
    programs=(("nbstripout",),),
    hooks=(("nbstripout", ("nbstripout",)),),
    checking=("--verify", "--dry-run"),
    git_key="filter.nbstripout.extrakeys",
    ids="renumbered",
)

_FAST_PARTS = _strips(["--extra-keys", "-e"], ["--keep-keys", "-k"], BLANKS, "--keep-keys")
_NBSTRIPOUT_FAST = Cleaner(
    name="nbstripout-fast",
    seen="1.1.2",
    tags=_FAST_PARTS[0],
    settings=_FAST_PARTS[1],
    programs=(("nbstripout-fast",),),
    hooks=(("nbstripout-fast", ("nbstripout-fast",)),),
    configs=(ConfigFile(".git-nbconfig.yaml", "nbstripout_fast"),),
)

_WIPERS_PARTS = _strips(["--extra-keys"], ["--keep-keys"], COMMAS, "--keep-keys")
_NBWIPERS = Cleaner(
    name="nbwipers",
    seen="0.7.2",
    tags=_WIPERS_PARTS[0],
    settings=_WIPERS_PARTS[1],
    programs=(("nbwipers", "clean"), ("nbwipers", "clean-all"), ("nbwipers", "check")),
    checking=("check",),
    configs=(
        ConfigFile("pyproject.toml", "tool.nbwipers"),
        ConfigFile(".nbwipers.toml"),
        ConfigFile("nbwipers.toml"),
    ),
)

_NBMETACLEAN = Cleaner(
    name="nbmetaclean",
    seen="0.1.4",
    tags=Part(
        deleting=(Option(("--clear_cell_metadata",)),),
        keeping=(Option(("--cell_metadata_preserve_mask",), value=TAGS),),
        args=(f"--cell_metadata_preserve_mask={TAGS}",),
    ),
    settings=Part(
        default=True,
        keeping=(
            Option(("--dont_clear_nb_metadata",)),
            Option(("--nb_metadata_preserve_mask",), value=SETTINGS),
        ),
        args=(f"--nb_metadata_preserve_mask={SETTINGS}",),
    ),
    programs=(("nbmetaclean",), ("nbclean",)),
    hooks=(("nbmetaclean", ("nbmetaclean",)), ("nbclean", ("nbclean",))),
)

_CLEAR = "--ClearMetadataPreprocessor"
_ENABLED = Option((f"{_CLEAR}.enabled",), value="True", split=PYTHON)
_NBCONVERT = Cleaner(
    name="nbconvert",
    seen="7.17.2",
    tags=Part(
        deleting=(_ENABLED,),
        keeping=(
            Option((f"{_CLEAR}.preserve_cell_metadata_mask",), "", TAGS, PYTHON, repeats=True),
            Option((f"{_CLEAR}.clear_cell_metadata",), value="False", split=PYTHON),
        ),
        always=(
            Option(("--ClearOutputPreprocessor.remove_metadata_fields",), value=TAGS, split=PYTHON),
        ),
        args=(f"{_CLEAR}.preserve_cell_metadata_mask={TAGS}",),
    ),
    settings=Part(
        deleting=(_ENABLED,),
        keeping=(
            Option((f"{_CLEAR}.preserve_nb_metadata_mask",), "", SETTINGS, PYTHON, repeats=True),
            Option((f"{_CLEAR}.clear_notebook_metadata",), value="False", split=PYTHON),
        ),
        args=(f"{_CLEAR}.preserve_nb_metadata_mask={SETTINGS}",),
    ),
    programs=(("jupyter", "nbconvert"), ("jupyter-nbconvert",), ("nbconvert",)),
)

_UPDATE = Option(("--update", "--sync", "-s"))
_JUPYTEXT = Cleaner(
    name="jupytext",
    seen="1.19.6",
    # It makes the notebook from a text file, which holds the tags, if its filter lets them through,
    # and not the settings. With `--update` and `--sync` it takes from the notebook what is missing.
    tags=Part(
        deleting=(
            Option(key="cell_metadata_filter", value="-all", split=COMMAS),
            Option(key="cell_metadata_filter", value=f"-{TAGS}", split=COMMAS),
        ),
        keeping=(_UPDATE, Option(key="cell_metadata_filter", value=TAGS, split=COMMAS)),
        args=("--update",),
    ),
    settings=Part(
        default=True,
        keeping=(
            _UPDATE,
            Option(key="notebook_metadata_filter", value=SETTINGS, split=COMMAS),
            Option(key="notebook_metadata_filter", value="all", split=COMMAS),
        ),
        args=("--update",),
    ),
    programs=(("jupytext",),),
    hooks=(("jupytext", ("jupytext",)),),
    configs=(ConfigFile("jupytext.toml"), ConfigFile("pyproject.toml", "tool.jupytext")),
    when=(Option(("--to",), value="ipynb"), Option(("--to",), value="notebook")),
)

_JQ = Cleaner(
    name="jq",
    seen="1.6",
    tags=Part(
        deleting=(
            Option(pattern=r"\.cells\[\](?:\.metadata(?:\.tags)?\s*\|?=|\s*\|=\s*del\(\.metadata)"),
            Option(pattern=r"del\([^)]*\.cells\[\]\.metadata(?:\.tags)?\s*[,)]"),
        ),
    ),
    settings=Part(
        deleting=(
            Option(pattern=r"(?:^|\|)\s*\.metadata\s*=(?!=)"),
            Option(pattern=r"del\((?:[^)]*,)?\s*\.metadata(?:\.kubeflow_notebook)?\s*[,)]"),
        ),
    ),
    programs=(("jq",),),
)

CLEANERS: Final = (  # an older version stands before a newer one
    _NB_CLEAN_4,
    _NB_CLEAN,
    _NBDEV_2,
    _NBDEV,
    _DATABOOKS,
    _NBSTRIPOUT,
    _NBSTRIPOUT_FAST,
    _NBWIPERS,
    _NBMETACLEAN,
    _NBCONVERT,
    _JUPYTEXT,
    _JQ,
)
