"""The uses of cleaners in one repository: hooks of pre-commit, filters of Git, configuration."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from kale_tag import files
from kale_tag.commands.check_cleaners import PRE_COMMIT, shown
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError
from kale_tag.git import attributes, config
from kale_tag.git.revisions import GitError
from kale_tag.lint.cleaner_config import Config, config_of
from kale_tag.lint.cleaner_hooks import hooks
from kale_tag.lint.cleaner_programs import CLEANERS, Cleaner
from kale_tag.lint.cleaner_words import Use, find, split
from kale_tag.lint.cleaners import Cleaning, tag_eating_cleaner


def diagnostics(
    top: str, paths: Sequence[str], found: Mapping[str, bytes], *, filtered: bool
) -> Iterator[Diagnostic]:
    """What deletes tags or settings of the notebooks *paths* in the work tree *top*.

    *found* are the files that may set up a cleaner; *filtered* says whether Git has to be asked.
    """
    sources = {}
    for name, data in found.items():
        try:
            sources[name] = files.as_text(shown(top, name), data)
        except UserError:
            continue  # for the cleaner to complain about
    cleanings = [*_hooks(sources, paths)]
    cleanings += _filters(top, paths, sources) if filtered else ()
    used = {cleaning.use.cleaner.name for cleaning in cleanings}
    for cleaner in reversed(CLEANERS):
        own = config_of(cleaner, sources)
        if own and cleaner.name not in used:
            used.add(cleaner.name)
            use = Use(cleaner, config=own.values)
            cleanings.append(Cleaning("config", cleaner.name, own.place(), use, own))
    for cleaning in cleanings:
        yield from tag_eating_cleaner(cleaning)


def _hooks(sources: Mapping[str, Source], paths: Sequence[str]) -> Iterator[Cleaning]:
    if PRE_COMMIT not in sources:
        return
    for hook in hooks(sources[PRE_COMMIT]):
        if any(map(hook.is_for, paths)):
            use, own = _set_up(hook.use, sources)
            yield Cleaning("hook", hook.name, hook.at, use, own, hook.args)


def _set_up(
    use: Use, sources: Mapping[str, Source], git: Mapping[str, str] | None = None
) -> tuple[Use, Config | None]:
    """*use* with its configuration; the version is that for which there is some."""
    versions = [use.cleaner, *(one for one in CLEANERS if one.name == use.cleaner.name)]
    for cleaner in versions:
        if own := config_of(cleaner, sources, used=cleaner == use.cleaner):
            return Use(cleaner, use.words, own.values, git or {}), own
    return Use(use.cleaner, use.words, git=git or {}), None


def _filters(top: str, paths: Sequence[str], sources: Mapping[str, Source]) -> list[Cleaning]:
    """The filters that Git has for notebooks, each once, with the line that names it.

    None where there is no Git, or where it refuses the repository or its own configuration.
    """
    try:
        repository = config.find_repository(top)
        given = attributes.effective(["filter"], paths, repository.top)
        first: dict[str, str] = {}
        for path, values in given.items():
            first.setdefault(values["filter"], path)
        found = (_filter(repository, name, path, sources) for name, path in first.items())
        return [cleaning for cleaning in found if cleaning]
    except (GitError, UserError):
        return []


def _filter(
    repository: config.Repository, name: str, path: str, sources: Mapping[str, Source]
) -> Cleaning | None:
    """The filter *name*, which *path* has, if it is a cleaner."""
    top = repository.top
    command = config.get(f"filter.{name}.clean", None, top)
    use = find(split(command.value)) if command else None
    if command is None or use is None:
        return None
    use, own = _set_up(use, sources, _told(use.cleaner, top))
    runs = _setting(top, command)
    at = _attribute(repository, name, path)
    also = (runs.with_text("what it runs"),) if at else ()
    return Cleaning("filter", name, at or runs, use, own, also=also, command=command.value)


def _told(cleaner: Cleaner, top: str) -> dict[str, str]:
    """What a cleaner is told in Git's configuration."""
    found = config.get(cleaner.git_key, None, top) if cleaner.git_key else None
    return {cleaner.git_key: found.value} if found else {}


def _attribute(repository: config.Repository, name: str, path: str) -> Label | None:
    """The place, in an attributes file, of the filter *name* for the notebook *path*."""
    origin = attributes.origin(repository, "filter", path)
    if origin is None:
        return None
    file, line = origin
    return _line_of(repository.top, file, re.escape(line), rf"filter={re.escape(name)}")


def _setting(top: str, setting: config.Setting) -> Label:
    """The place of a command in a file of Git's configuration."""
    return _line_of(top, setting.file, r"\s*clean\s*=.*", r"clean", holds=setting.value)


def _line_of(top: str, file: str, line: str, word: str, *, holds: str = "") -> Label:
    """The last line of *file* that *line* matches, and *word* in it."""
    path = os.path.join(top, file)
    inside = not os.path.relpath(path, top).startswith("..")
    name = shown(top, os.path.relpath(path, top)) if inside else path
    try:
        source = files.as_text(name, files.read(path).data)
    except UserError:
        return Label(Source(name))
    plain = _unquoted(holds)
    found = [
        match
        for match in re.finditer(rf"(?m)^[ \t]*{line}[ \t]*\r?$", source.text)
        if plain in _unquoted(match[0])
    ]
    if not found:
        return Label(Source(name))
    at = re.compile(word).search(source.text, found[-1].start())
    return Label(source, Span(*at.span())) if at else Label(source)


def _unquoted(text: str) -> str:
    # Git writes a value with escapes and quotes of its own.
    return re.sub(r"[\\\"']", "", text)
