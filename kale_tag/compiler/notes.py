"""What is found wrong while a pipeline is packaged: noted, so that one run shows all of it."""

from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, Label, error, warning


@dataclass(slots=True)
class Notes:
    """The faults and warnings noted so far."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)

    def refuse(
        self,
        code: str,
        message: str,
        at: Label | None,
        *also: Label | None,
        help: str = "",  # noqa: A002  the word that users see
    ) -> None:
        """Note what a cluster would refuse, or what would not do there what the user means."""
        places = [label for label in also if label is not None]
        self.diagnostics.append(error(code, message, at, also=places if at else (), help=help))

    def warn(
        self,
        code: str,
        message: str,
        at: Label | None,
        help: str = "",  # noqa: A002  the word that users see
    ) -> None:
        """Note what is left out."""
        self.warnings.append(warning(code, message, at, help=help))

    def check_text(self, text: str, what: str, at: Label | None) -> None:
        """Note a *text* that the runners of Kubeflow Pipelines would change, or cannot take."""
        if "{{" in text:
            self.refuse(
                "placeholder",
                f"{what} holds `{{{{`, which Kubeflow Pipelines and Argo take for their own",
                at,
                help="write it in another way; in the code of cells it is no trouble",
            )
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            self.refuse("bad-character", f"{what} holds a character that no program takes", at)
