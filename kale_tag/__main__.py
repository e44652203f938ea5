"""`kale-tag`, and `python -m kale_tag`."""

import sys


def _textconv() -> bool:
    """Do what Git asks for, once for each version of a notebook that it shows; whether it is done.

    The rest of the program takes longer to import than a notebook to print. It runs if anything
    goes wrong here, and reports it.
    """
    if sys.argv[1:4] != ["git", "textconv", "--"] or len(sys.argv) != 5:
        return False
    from kale_tag.git.textconv import textconv  # noqa: PLC0415  see above

    try:
        with open(sys.argv[4], "rb") as file:
            lines = textconv(file.read())
        sys.stdout.buffer.write(lines)
        sys.stdout.flush()
    except Exception:  # noqa: BLE001  see above
        return False
    return True


def main() -> int:
    """Run the command line; the exit code, also where Ctrl-C comes before it has been imported."""
    try:
        if _textconv():
            return 0
        from kale_tag import cli  # noqa: PLC0415  see above

        return cli.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
